// Reads sources, separated by NUL, and prints 1 for each that node's parser accepts, 0 otherwise. The sources are not run.
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
