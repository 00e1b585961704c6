// What the page needs of the browser beyond Gradio: keys for the pad, the clipboard in both
// directions. Gradio calls this once, when the page is up.
() => {
    const COPIED_MS = 1500;

    const isTyping = (node) => node.closest?.("input, textarea, select, [contenteditable=true]");
    const isShown = (node) => node && node.offsetParent !== null;
    const pad = document.querySelector(".pad");
    const papers = document.querySelector(".papers");
    const drawn = papers.parentElement.querySelector(".source textarea");

    // ---- Copying --------------------------------------------------------------------------------

    // For whatever copies; node shows for a while that it was done.
    window.copyText = (text, node) => {
        const done = () => {
            node.classList.add("done");
            setTimeout(() => node.classList.remove("done"), COPIED_MS);
        };
        // The clipboard needs a safe origin; the older way serves pages from http://192.168...
        if (navigator.clipboard) return void navigator.clipboard.writeText(text).then(done);
        const area = Object.assign(document.createElement("textarea"), {value: text});
        document.body.append(area);
        area.select();
        if (document.execCommand("copy")) done();
        area.remove();
    };

    // ---- Keys -----------------------------------------------------------------------------------

    function press(name) {
        const button = pad.querySelector(`button[aria-label="${name}"]`);
        if (!button?.disabled) button?.click();
    }

    function actionOf(event) {
        const key = event.key.toLowerCase();
        if (!event.ctrlKey && !event.metaKey) {
            return ["delete", "backspace"].includes(key) ? () => press("Clear canvas") : null;
        }
        if (key === "z") return () => press(event.shiftKey ? "Redo" : "Undo");
        if (key === "y") return () => press("Redo");
        const isCopy = key === "c" && drawn?.value && getSelection().isCollapsed;
        return isCopy ? () => copyText(drawn.value, papers) : null;
    }

    document.addEventListener("keydown", (event) => {
        if (!isShown(pad) || event.altKey || isTyping(event.target)) return;
        const action = actionOf(event);
        if (!action) return;
        event.preventDefault();
        action();
    });

    // ---- Pasting --------------------------------------------------------------------------------

    // A picture or PDF from the clipboard goes where files go, from wherever on the page.
    document.addEventListener("paste", async (event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (!files.length) return;
        event.preventDefault();
        [...document.querySelectorAll("button[role=tab]")]
            .find((tab) => tab.textContent.trim() === "Upload")?.click();
        const input = await inputOfFiles();
        if (!input) return;  // a page is being worked on: it is not to be lost
        const taken = new DataTransfer();
        files.forEach((file) => taken.items.add(file));
        input.files = taken.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
    });

    async function inputOfFiles() {  // Gradio makes a tab when it is first looked at
        for (let n = 0; n < 200; n++) {  // 10 s, for a slow machine
            const box = document.querySelector("#files");
            if (isShown(document.querySelector(".desk"))) return null;
            if (isShown(box) && box.querySelector("input[type=file]")) {
                return box.querySelector("input[type=file]");
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return null;
    }
}
