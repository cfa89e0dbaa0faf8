// Reads sources, separated by NUL, and prints 1 for each that node's parser takes, 0 otherwise. None of them is run.
const vm = require("node:vm");

const parses = (source) => {
  try {
    new vm.Script(source);
    return "1";
  } catch {
    return "0";
  }
};

const input = require("node:fs").readFileSync(0, "utf8");
console.log(input.split("\0").map(parses).join(""));
