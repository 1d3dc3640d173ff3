/** The page that `undertone report` writes: the record inside it, drawn. */

import { clock } from "./drawings.js";
import { overview } from "./overview.js";

const record = JSON.parse(document.getElementById("record").textContent);
const main = document.getElementById("report");
const sections = overview(record);

function line(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

const began = record.started && Date.parse(record.started) > 0 ? new Date(record.started).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" }) : null;
const people = Object.keys(record.people ?? {}).length;
const crowd = record.for || record.withheld ? null : `${people} ${people === 1 ? "person" : "people"}`;
const facts = [began, `${clock(record.at)} long`, crowd].filter(Boolean).join(" · ");
const head = document.createElement("header");
head.className = "report-head";
head.append(line("h1", record.room), line("p", facts, "hint"));
if (record.note) head.append(line("p", record.note));

const grid = document.createElement("div");
grid.className = "overview";
grid.append(...Object.values(sections).filter(Boolean));

main.append(
  head,
  grid,
  line("p", "Made by Undertone. No sound and no word was kept. Numbers describe this conversation, not the people in it, and nobody is ranked; they are no basis for judging anybody's work.", "report-foot hint"),
);
