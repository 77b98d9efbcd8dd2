/** What the graphs of a room do, in words for whoever runs it; what is not known here keeps its own name. */

const STAGES = {
  source: "Listens in the room",
  into: "Passes the talk on",
  ears: "Takes in the talk",
  pcm: "Adapts the sound",
  vad: "Finds the speech",
  asr: "Writes it down",
  heard: "Shows the original",
  overheard: "Passes the sound on",
  transcript: "Tells the speaker",
  fed: "Takes in what was said",
  interpreter: "Interprets",
  mt: "Translates",
  shown: "Shows the captions",
  noted: "Puts it in order",
  tts: "Speaks it",
  spoken: "Sends out the voice",
};
const GRAPHS = { recognition: "Understanding the talk", speaker: "The microphone of this machine" };

/** `stage` as `[title, its own name]`. A stage within another is called `interpreter/echo`. */
export function stageWords({ name, kind }) {
  const own = name === kind ? name : `${name} · ${kind}`;
  const parts = name.split("/");
  const known = [parts.at(-1), parts[0]].find((part) => Object.hasOwn(STAGES, part));
  return known ? [STAGES[known], own] : [name, name === kind ? "" : kind];
}

/** The graph `name`, such as `pt-br captions`; `languages` has the names of the languages by tag. */
export function graphWords(name, languages) {
  if (Object.hasOwn(GRAPHS, name)) return GRAPHS[name];
  const [, tag, what] = /^(\S+) (captions|voice)$/.exec(name) ?? [];
  return tag ? `${what === "voice" ? "Voice" : "Captions"} in ${languageWords(tag, languages)}` : name;
}

export function languageWords(tag, languages) {
  return Object.hasOwn(languages, tag) ? languages[tag] : tag;
}

/** `text` in at most `most` lines of `width` letters; what does not fit ends in "…". */
export function wrapped(text, width, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (longer.length <= width || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  const kept = lines.slice(0, most).map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
  if (lines.length > most) kept[most - 1] = `${kept[most - 1].slice(0, width - 2)} …`;
  return kept;
}
