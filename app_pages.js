// The page view: a page, the boxes of its equations, and what a person does to them.
//
// Gradio runs this once, when the view is put up, with `element`, `props`, `trigger` and `watch`.
// Taken:     props.picture, the page as data URL; props.value, which app_pages.view_of makes.
// Triggered: "select" {id}, "remove" {id}, "mark" {page, box}, "turn" {page}.
// Boxes are in pixels of the page; on the screen they are in percent, so that nothing has to be
// computed when the window changes.

const SMALLEST_PX = 6;  // on the screen: a shorter drag is a click

const figure = element.querySelector(".sheet");
const image = element.querySelector("img");
const svg = element.querySelector("svg");
const nav = element.querySelector("nav");
const listStyle = element.appendChild(document.createElement("style"));

let page = null;  // props.value
let selected = null;  // id
let start = null;  // where the mouse went down, or a finger tapped first
let hasMoved = false;
let rubber = null;  // the rectangle that is being drawn

function make(name, attributes, parent) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
}

const percent = (share) => `${(100 * share).toFixed(3)}%`;

function place(node, [x0, y0, x1, y1]) {
    node.setAttribute("x", percent(x0 / page.width));
    node.setAttribute("y", percent(y0 / page.height));
    node.setAttribute("width", percent((x1 - x0) / page.width));
    node.setAttribute("height", percent((y1 - y0) / page.height));
}

function draw() {
    page = props.value || null;
    if (!page) return;
    const hadFocus = svg.contains(document.activeElement);
    svg.replaceChildren();
    start = rubber = null;
    selected = page.selected ?? null;
    figure.style.aspectRatio = `${page.width} / ${page.height}`;
    figure.style.setProperty("--shape", page.width / page.height);
    element.classList.toggle("wide", page.width > 1.8 * page.height);
    element.classList.toggle("reading", page.busy);
    page.boxes.forEach(drawBox);
    showSelected(hadFocus);
    nav.hidden = page.pages < 2;
    nav.querySelector("span").textContent = `Page ${page.page + 1} of ${page.pages}`;
    nav.querySelector(".previous").disabled = page.page === 0;
    nav.querySelector(".next").disabled = page.page === page.pages - 1;
}

function drawPicture() {
    if (props.picture) image.src = props.picture;
}

function padded([x0, y0, x1, y1]) {  // so that the line is not drawn upon the ink
    const room = 0.004 * Math.max(page.width, page.height);
    return [
        Math.max(x0 - room, 0), Math.max(y0 - room, 0),
        Math.min(x1 + room, page.width), Math.min(y1 + room, page.height),
    ];
}

function drawBox({id, number, kind, box}) {
    const group = make("g", {class: `box ${kind}`, tabindex: 0, role: "button"}, svg);
    group.setAttribute("aria-label", `Equation ${number}, ${kind}`);
    group.dataset.id = id;
    place(make("rect", {class: "area", rx: 3}, group), padded(box));
    // The number stands left of the box, where there is seldom ink; above it at the page's edge.
    const text = kind === "doubtful" ? `${number}?` : `${number}`;
    const width = 10 + 7 * text.length;
    const [left, top] = padded(box);
    const isAtEdge = left / page.width * figure.clientWidth < width;
    const tag = make("svg", {class: "tag", overflow: "visible"}, group);
    tag.setAttribute("x", percent(left / page.width));
    tag.setAttribute("y", percent(top / page.height));
    const [x, y] = isAtEdge ? [0, -16] : [-width, 0];
    make("rect", {x, y, width, height: 16, rx: 3}, tag);
    make("text", {x: x + width / 2, y: y + 12}, tag).textContent = text;
}

function showSelected(takeFocus) {
    for (const group of svg.querySelectorAll(".box")) {
        const isSelected = Number(group.dataset.id) === selected;
        group.classList.toggle("selected", isSelected);
        group.setAttribute("aria-pressed", isSelected);
        if (isSelected && takeFocus) group.focus({preventScroll: true});
    }
    // A rule, since Gradio makes the list anew whenever an equation changes.
    listStyle.textContent = `.listing .entry:nth-of-type(${page.ids.indexOf(selected) + 1}) {
        border-color: var(--color-accent) !important; }`;
}

function select(id) {
    selected = id;
    showSelected(true);
    trigger("select", {id});
    const detail = document.querySelector(".detail");
    if (window.innerWidth <= 640) detail.scrollIntoView({behavior: "smooth", block: "nearest"});
}

// ---- Where things are ---------------------------------------------------------------------------

function pointOf(event) {  // pixels of the page, within it
    const frame = svg.getBoundingClientRect();
    const share = (at, low, size) => Math.min(Math.max((at - low) / size, 0), 1);
    return [
        share(event.clientX, frame.left, frame.width) * page.width,
        share(event.clientY, frame.top, frame.height) * page.height,
    ];
}

function boxBetween([x0, y0], [x1, y1]) {
    return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function isLarge([x0, y0, x1, y1]) {
    const scale = svg.getBoundingClientRect().width / page.width;
    return (x1 - x0) * scale >= SMALLEST_PX && (y1 - y0) * scale >= SMALLEST_PX;
}

function idAt(event) {  // of the smallest box there: a large one may lie around it
    const [x, y] = pointOf(event);
    const areaOf = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
    const around = page.boxes.filter(({box: [x0, y0, x1, y1]}) =>
        x0 <= x && x <= x1 && y0 <= y && y <= y1);
    around.sort((one, other) => areaOf(one.box) - areaOf(other.box));
    if (around.length) return around[0].id;
    // Not event.target: the page keeps the mouse while a button is down.
    const tagged = document.elementFromPoint(event.clientX, event.clientY)?.closest(".box");
    return tagged ? Number(tagged.dataset.id) : null;
}

// ---- Marking ------------------------------------------------------------------------------------

function dot([x, y]) {
    const middle = {cx: percent(x / page.width), cy: percent(y / page.height)};
    rubber = make("circle", {class: "rubber", r: 7, ...middle}, svg);
}

function stretch(event) {
    if (rubber?.tagName !== "rect") {
        rubber?.remove();
        rubber = make("rect", {class: "rubber", rx: 3}, svg);
    }
    place(rubber, boxBetween(start, pointOf(event)));
}

function drop() {
    rubber?.remove();
    start = rubber = null;
}

function mark(event) {
    const box = boxBetween(start, pointOf(event));
    if (!isLarge(box)) return drop();
    stretch(event);
    start = null;
    rubber.classList.add("waiting");  // until the server has read it and everything is drawn anew
    rubber = null;
    trigger("mark", {page: page.page, box: box.map((side) => Math.round(side))});
}

svg.addEventListener("pointerdown", (event) => {
    hasMoved = false;
    if (!page || page.busy || event.pointerType === "touch" || event.button !== 0) return;
    drop();
    start = pointOf(event);
    svg.setPointerCapture(event.pointerId);
});

svg.addEventListener("pointermove", (event) => {
    if (!start || event.pointerType === "touch" || !isLarge(boxBetween(start, pointOf(event)))) return;
    hasMoved = true;
    stretch(event);
});

svg.addEventListener("pointerup", (event) => {
    if (event.pointerType === "touch" || !start) return;
    if (hasMoved) mark(event);
    else drop();
});

svg.addEventListener("pointercancel", drop);

svg.addEventListener("click", (event) => {
    if (!page || hasMoved) return;
    const id = idAt(event);
    if (start) mark(event);  // the second tap
    else if (id !== null) select(id);
    else if (event.pointerType === "touch" && !page.busy) {
        start = pointOf(event);
        dot(start);
    }
});

svg.addEventListener("keydown", (event) => {
    const group = event.target.closest(".box");
    if (event.key === "Escape") return drop();
    if (!group) return;
    if (event.key === "Enter" || event.key === " ") select(Number(group.dataset.id));
    else if (event.key === "Delete" || event.key === "Backspace") {
        trigger("remove", {id: Number(group.dataset.id)});
    } else return;
    event.preventDefault();
});

nav.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) trigger("turn", {page: page.page + (button.classList.contains("next") ? 1 : -1)});
});

watch("picture", drawPicture);
watch("value", draw);
drawPicture();
draw();
