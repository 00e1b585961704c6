// The pad: paper, pen, eraser, undo and redo. What is written goes out after every stroke.
//
// Gradio runs this once, when the pad is put up, with `element`, `props` and `trigger`.
// Triggered: "input" after every change, with props.value, the ink as data URL of a PNG, black on
// white and cut to the ink; "" for blank paper.
// Ink is kept as strokes, in pixels of the paper as it was when it was written on. In a window that
// has become too narrow for it, paper and ink are shown smaller.

const PEN_PX = 3;
const ERASER_PX = 18;
const MARGIN_PX = 16;  // of white around the ink that goes out

const canvas = element.querySelector("canvas");
const button = (name) => element.querySelector(`button[aria-label="${name}"]`);

let strokes = [];  // {isEraser, points: [[x, y], ...]}; never changed, always replaced
let past = [];  // what strokes has been, to undo
let future = [];  // what it was before undoing, to redo
let current = null;  // the stroke that is being made
let pointer = null;  // that makes it
let isErasing = false;  // the tool in hand
let hasPen = false;  // there is a stylus: fingers and palms do not write any more
let scale = 1;  // pixels on the screen per pixel of the paper

// ---- Drawing ------------------------------------------------------------------------------------

function drawStroke(context, {isEraser, points}, from = 0) {
    context.globalCompositeOperation = isEraser ? "destination-out" : "source-over";
    context.strokeStyle = "#000";
    context.lineWidth = isEraser ? ERASER_PX : PEN_PX;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(...points[from]);
    if (points.length === 1) context.lineTo(...points[0]);
    for (let i = from + 1; i < points.length; i++) context.lineTo(...points[i]);
    context.stroke();
}

function onScreen() {
    const context = canvas.getContext("2d");
    const density = canvas.width / canvas.clientWidth;
    context.setTransform(density * scale, 0, 0, density * scale, 0, 0);
    return context;
}

function boundsOf(written) {
    const points = written.filter(({isEraser}) => !isEraser).flatMap((stroke) => stroke.points);
    if (!points.length) return null;
    const [x, y] = [points.map((point) => point[0]), points.map((point) => point[1])];
    // Not Math.max(...x): there may be more points than a call has room for.
    const low = (values) => values.reduce((a, b) => Math.min(a, b)) - PEN_PX;
    const high = (values) => values.reduce((a, b) => Math.max(a, b)) + PEN_PX;
    return {left: low(x), top: low(y), right: high(x), bottom: high(y)};
}

function fit() {
    if (!canvas.clientWidth) return;  // in a tab that is not shown
    const density = window.devicePixelRatio || 1;
    const bounds = boundsOf(strokes);
    const room = [canvas.clientWidth, canvas.clientHeight];
    scale = bounds ? Math.min(1, room[0] / bounds.right, room[1] / bounds.bottom) : 1;
    canvas.width = Math.round(room[0] * density);
    canvas.height = Math.round(room[1] * density);
    redraw();
}

function redraw() {
    const context = onScreen();
    context.clearRect(0, 0, canvas.width / scale, canvas.height / scale);
    for (const stroke of strokes) drawStroke(context, stroke);
    button("Undo").disabled = !past.length;
    button("Redo").disabled = !future.length;
    button("Clear canvas").disabled = !strokes.length;
}

// ---- What goes out ------------------------------------------------------------------------------

function hasInk(context, width, height) {  // or has all of it been rubbed out?
    const {data} = context.getImageData(0, 0, width, height);
    for (let i = 3; i < data.length; i += 4) if (data[i] > 127) return true;
    return false;
}

function picture() {
    const bounds = boundsOf(strokes);
    if (!bounds) return "";
    const sheet = document.createElement("canvas");
    sheet.width = Math.ceil(bounds.right - bounds.left + 2 * MARGIN_PX);
    sheet.height = Math.ceil(bounds.bottom - bounds.top + 2 * MARGIN_PX);
    const context = sheet.getContext("2d");
    context.translate(MARGIN_PX - bounds.left, MARGIN_PX - bounds.top);
    for (const stroke of strokes) drawStroke(context, stroke);
    const isRubbed = strokes.some(({isEraser}) => isEraser);
    if (isRubbed && !hasInk(context, sheet.width, sheet.height)) return "";
    context.resetTransform();
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, sheet.width, sheet.height);
    return sheet.toDataURL("image/png");
}

function changed() {
    redraw();
    props.value = picture();
    trigger("input");
}

function become(written) {
    past.push(strokes);
    strokes = written;
    future = [];
    changed();
}

// ---- Pen, finger, mouse -------------------------------------------------------------------------

function pointOf(event) {
    const frame = canvas.getBoundingClientRect();
    return [(event.clientX - frame.left) / scale, (event.clientY - frame.top) / scale];
}

canvas.addEventListener("pointerdown", (event) => {
    hasPen ||= event.pointerType === "pen";
    if (current || (hasPen && event.pointerType === "touch")) return;
    const isPensEraser = (event.buttons & 32) > 0;
    if (event.button !== 0 && !isPensEraser) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    current = {isEraser: isErasing || isPensEraser, points: [pointOf(event)]};
    drawStroke(onScreen(), current);
});

canvas.addEventListener("pointermove", (event) => {
    if (!current || event.pointerId !== pointer) return;
    const from = current.points.length - 1;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) current.points.push(pointOf(one));
    drawStroke(onScreen(), current, from);
});

function lift(event) {
    if (!current || event.pointerId !== pointer) return;
    const stroke = current;
    current = pointer = null;
    become([...strokes, stroke]);
}

canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
canvas.addEventListener("contextmenu", (event) => event.preventDefault());  // of a long touch

// ---- Tools --------------------------------------------------------------------------------------

function take(eraser) {
    isErasing = eraser;
    for (const [name, isInHand] of [["Brush", !eraser], ["Eraser", eraser]]) {
        button(name).classList.toggle("highlight", isInHand);
        button(name).setAttribute("aria-pressed", isInHand);
    }
    canvas.classList.toggle("erasing", eraser);
}

button("Brush").addEventListener("click", () => take(false));
button("Eraser").addEventListener("click", () => take(true));

button("Undo").addEventListener("click", () => {
    future.push(strokes);
    strokes = past.pop();
    changed();
});

button("Redo").addEventListener("click", () => {
    past.push(strokes);
    strokes = future.pop();
    changed();
});

button("Clear canvas").addEventListener("click", () => {
    become([]);
    take(false);  // who begins anew wants to write
    fit();
});

new ResizeObserver(fit).observe(canvas);
take(false);
fit();
