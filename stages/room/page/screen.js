/** The screen: on while somebody reads or speaks, and in full screen free of controls while nothing moves. */

const IDLE_MS = 4000;

/** Keep the screen on, where the browser lets us. Safari does so only in a tap, and all let go when the page is hidden. */
export function stayAwake() {
  let lock = null;
  const ask = async () => {
    if (document.visibilityState !== "visible" || (lock && !lock.released)) return;
    try {
      lock = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      lock = null; // not in a tap, or on low battery: the next one asks again
    }
  };
  document.addEventListener("visibilitychange", ask);
  for (const kind of ["pointerup", "keydown"]) addEventListener(kind, ask, { passive: true });
  ask();
}

export async function toggleFull() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen({ navigationUI: "hide" });
  } catch {
    // the browser would not; nothing is lost
  }
}

/** Mark the body as `idle` while the page fills the screen and nobody does anything; `onchange()` when full screen begins or ends. */
export function restInFull(onchange) {
  let timer = 0;
  const stir = () => {
    document.body.classList.remove("idle");
    clearTimeout(timer);
    if (document.fullscreenElement) timer = setTimeout(() => document.body.classList.add("idle"), IDLE_MS);
  };
  for (const kind of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(kind, stir, { passive: true });
  document.addEventListener("fullscreenchange", () => {
    onchange();
    stir();
  });
}
