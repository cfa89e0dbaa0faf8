/** Code to begin with, by pane and language. All of it suits a small model: the pattern to follow comes first. */

const EXAMPLES = {
  complete: {
    python: `class Point:
    def __init__(self, x, y):
        self._x = x
        self._y = y

    @property
    def x(self):
        return self._x

    @property
    def y(self):`,
    java: `public class Ticket {
    private String title;
    private int price;

    public String getTitle() {
        return title;
    }

    public void setTitle(String title) {
        this.title = title;
    }

    public int getPrice() {`,
    javascript: `Queue.prototype.push = function (item) {
  this.items.push(item);
};

Queue.prototype.size = function () {`,
  },
  infill: {
    python: `def find(values, name):
    try:
        return values[name]<FILL_HERE>
        return None
`,
    java: `public static int largest(int first, int second) {
    if (first > second) {
        return first;<FILL_HERE>
    return second;
}
`,
    javascript: `function isNumber(value) {
  return typeof value === 'number';
<FILL_HERE>

function isFunction(value) {
  return typeof value === 'function';
}
`,
  },
};

/** @param {string} pane @param {string} language */
export function exampleOf(pane, language) {
  return EXAMPLES[pane][language];
}

/** @param {string} code */
export function isExample(code) {
  return Object.values(EXAMPLES).some((examples) => Object.values(examples).includes(code));
}
