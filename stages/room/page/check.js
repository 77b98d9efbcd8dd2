/* Says so where a browser is too old for the page. In the JavaScript of 2009, so that old browsers can run it. */
(function () {
  var lacking = [];
  var audio = window.AudioContext || window.webkitAudioContext;
  function tell(what) {
    var place = document.getElementById("old");
    if (place) {
      place.removeAttribute("hidden");
      place.setAttribute("data-lacking", what);
    }
  }
  if (!("noModule" in document.createElement("script"))) lacking.push("modules");
  if (!window.WebSocket) lacking.push("WebSocket");
  if (!audio) lacking.push("AudioContext");
  if (document.documentElement.getAttribute("data-needs") === "microphone") {
    if (audio && !window.AudioWorkletNode && window.isSecureContext !== false) lacking.push("AudioWorklet");
  }
  if (lacking.length) {
    tell(lacking.join(" "));
    return;
  }
  /* Modules are there, but perhaps not all that this page says in them. */
  window.addEventListener("load", function () {
    setTimeout(function () {
      if (!window.dragoman) tell("syntax");
    }, 3000);
  });
})();
