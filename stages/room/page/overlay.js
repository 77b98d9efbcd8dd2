/** Captions over somebody's picture, as `?overlay=1&lines=2` wants them: nothing else is shown, and old text goes. */

const REST_MS = 12000;

/** Make the page an overlay whose lines are in `list`; call what it gives whenever there is something to read. */
export function overlaid(list, lines) {
  const page = document.documentElement;
  page.classList.add("overlay");
  page.style.setProperty("--lines", String(Math.min(8, Math.max(1, Number(lines) || 2))));
  let timer = 0;
  return () => {
    list.classList.remove("rested");
    clearTimeout(timer);
    timer = setTimeout(() => list.classList.add("rested"), REST_MS);
  };
}
