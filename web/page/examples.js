/** Code to begin with, by pane and language: the first examples of the server's page (`app/ui/code_pane/presets.yaml`). */

const EXAMPLES = {
  complete: {
    // Jinja2 3.1.6, jinja2/tests.py, BSD License
    python: `def test_lower(value: str) -> bool:
    """Return true if the variable is lowercased."""
    return str(value).islower()


def test_upper(value: str) -> bool:`,
    // libcommons-codec-java 1.15-1, src/test/java/org/apache/commons/codec/digest/PureJavaCrc32Test.java, Apache-2.0
    java: `private static class BenchResult {
  /** CRC value */
  final long value;
  /** Speed (MB per second) */
  final double mbps;

  BenchResult(final long value, final double mbps) {`,
    // karma 6.4.4, package/static/karma.js, MIT
    javascript: `function map(array, fn) {
  var length = array.length;
  var result = [];
  while (length--) {
    result[length] = fn(array[length]);
  }
`,
  },
  infill: {
    // typer 0.29.2, typer/core.py, MIT
    python: `def _rich_display_name(self) -> str:
    """Argument display name for the Rich help name column."""
    name = self.display_name_raw
    if self.metavar is None and self.nargs != 1:
        name += "..."
    return name


def _usage_display_name(self) -> str:
    """Argument name for the usage line only."""
    <FILL_HERE>
    if self.required:
        name = f"{{{name}}}"
    else:
        name = f"[{name}]"
    if self.nargs != 1:
        name += "..."
    return name
`,
    // libcommons-codec-java 1.15-1, src/test/java/org/apache/commons/codec/BinaryEncoderAbstractTest.java, Apache-2.0
    java: `import org.junit.Test;

/**
 */
public abstract class BinaryEncoderAbstractTest {

    protected abstract BinaryEncoder makeEncoder();

    @Test
    public void testEncodeEmpty() throws Exception {
        final BinaryEncoder encoder = makeEncoder();
        encoder.encode(new byte[0]);
    }

    @Test
    public void testEncodeNull() throws Exception {
        <FILL_HERE>
        try {
            encoder.encode(null);
            fail("EncoderException exptected");
        } catch (final EncoderException ee) {
            // An exception should be thrown
        }
    }
`,
    // postcss 8.5.33, package/lib/parser.js, MIT
    javascript: `class Parser {

  constructor(input) {
    <FILL_HERE>

    this.root = new Root()
    this.current = this.root
    this.spaces = ''
    this.semicolon = false

    this.createTokenizer()
    this.root.source = { input, start: { column: 1, line: 1, offset: 0 } }
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
