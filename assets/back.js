// Back leads to the page before, as it was left. Streamlit makes an entry in the browser's history of each choice
// that a page writes into its link, and of the emptied link when a page is left, so that five Backs were needed.
// Here a choice replaces its page's entry, and what is emptied on leaving is put back. Another run is another page.
const push = history.pushState;
const LEAVING = 5000; // ms between emptying the link and the next page, at most, on a busy server

const isSamePage = (one, other) => {
  const [ours, theirs] = [one, other].map((link) => link.searchParams.get("id"));
  return one.pathname === other.pathname && (!ours || !theirs || ours === theirs);
};

export default function () {
  let before = location.href;
  let until = -Infinity;
  history.pushState = (state, title, link) => {
    const recent = performance.now() < until;
    if (!recent) before = location.href;
    const [ours, theirs] = [new URL(before), new URL(link, location.href)];
    if (isSamePage(ours, theirs)) {
      // a choice changes or adds a part; on leaving all parts go, or give way to those of the next page
      const lost = [...ours.searchParams.keys()].some((key) => !theirs.searchParams.has(key));
      until = lost ? performance.now() + LEAVING : -Infinity;
      history.replaceState(state, title, link);
    } else {
      if (recent) history.replaceState(state, title, before);
      push.call(history, state, title, link);
      until = -Infinity;
    }
  };
  return () => {
    history.pushState = push;
  };
}
