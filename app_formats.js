// Buttons that copy a formula in other formats, or save it as a file.
//
// Gradio runs this once, when the row is put up, with `element`, `props`, `trigger` and `watch`.
// Taken:     props.value, the formula by format, which app_formats.texts_of makes; what is not in
//            it cannot be had, and nothing of what is empty.
// Triggered: "save" {format}.

const COPIED_MS = 1500;

const buttons = [...element.querySelectorAll("button")];

function texts() {
    return props.value || {};
}

function enable() {
    const isFormula = Object.keys(texts()).length > 0;
    for (const button of buttons) {
        const {copy} = button.dataset;
        button.disabled = copy ? !(copy in texts()) : !isFormula;
    }
}

function copy(button) {
    const text = texts()[button.dataset.copy];
    const done = () => {
        button.classList.add("done");
        setTimeout(() => button.classList.remove("done"), COPIED_MS);
    };
    // The clipboard needs a safe origin; the older way serves pages from http://192.168...
    if (navigator.clipboard) return void navigator.clipboard.writeText(text).then(done);
    const area = Object.assign(document.createElement("textarea"), {value: text});
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) done();
    area.remove();
}

element.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    else trigger("save", {format: button.dataset.save});
});

watch("value", enable);
enable();
