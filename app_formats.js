// Buttons that copy a formula in other formats, or save it as a file.
//
// Gradio runs this once, when the row is put up, with `element`, `props`, `trigger` and `watch`.
// Taken:     props.value, the formula by format, which app_formats.texts_of makes; what is not in
//            it cannot be had, and nothing of what is empty.
// Triggered: "save" {format}.

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

element.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const {copy, save} = button.dataset;
    if (copy) copyText(texts()[copy], button);  // of app_keys.js
    else trigger("save", {format: save});
});

watch("value", enable);
enable();
