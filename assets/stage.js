// The keys of the stage. Windows of one story go together: a slide that is called up in one is shown in all, and the notes
// ask for it when they are drawn, since they may not have been there to hear it.
const ASK = 0;
let stop;
let told = {};

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  stop?.();
  const { story, slide, slides, notes } = data;
  const others = new BroadcastChannel(`genecanvas story ${story}`);
  let at = slide;
  const show = (wanted) => {
    at = Math.min(Math.max(1, wanted), slides);
    if (at !== slide) setTriggerValue("slide", at);
    return at;
  };
  const call = (wanted) => others.postMessage(show(wanted));
  const openNotes = () => open(`${location.pathname}?story=${story}&slide=${slide}&notes=1`, `notes ${story}`, "width=900,height=700");
  const fill = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
  const keys = {
    ArrowRight: () => call(slide + 1), PageDown: () => call(slide + 1), " ": () => call(slide + 1),
    ArrowLeft: () => call(slide - 1), PageUp: () => call(slide - 1),
    Home: () => call(1), End: () => call(slides),
    f: fill, n: openNotes, o: () => setTriggerValue("open", true), Escape: () => setTriggerValue("leave", true),
  };
  const press = (event) => {
    const busy = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    const onButton = event.key === " " && event.target.closest?.("button");
    if (busy || onButton || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const measure = () => {
    const size = { width: innerWidth, height: innerHeight };
    if ([data.size, told].some(({ width, height }) => width === size.width && height === size.height)) return;
    told = size;
    setStateValue("size", size);
  };
  others.onmessage = ({ data: wanted }) => {
    if (wanted !== ASK) show(wanted);
    else if (!notes) others.postMessage(at);
  };
  if (notes) others.postMessage(ASK);
  addEventListener("keydown", press);
  addEventListener("resize", measure);
  measure();
  stop = () => {
    removeEventListener("keydown", press);
    removeEventListener("resize", measure);
    others.close();
  };
  parentElement.querySelector("output").textContent = `${slide} / ${slides}`;
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => keys[button.dataset.key]();
    button.hidden = notes && button.dataset.key === "n";
  }
  return stop;
}
