import java.io.*;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.*;
import javax.tools.*;

/**
 * A persistent compiler. It reads the length and UTF-8 text of one source file after another from standard input, and
 * writes to standard output, for each, the number of classes followed by the name, length and bytes of each class, or
 * -1 and the first error. Compilation does not run the code: annotation processing is disabled.
 */
public class CompileServer {
    public static void main(String[] arguments) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        List<String> options = List.of("-proc:none", "-nowarn", "-implicit:none", "-cp", arguments[0]);
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out));
        StandardJavaFileManager disk = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        while (true) {
            int length;
            try {
                length = in.readInt();
            } catch (EOFException end) {
                return;
            }
            String source = new String(in.readNBytes(length), StandardCharsets.UTF_8);
            DiagnosticCollector<JavaFileObject> problems = new DiagnosticCollector<>();
            Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();
            boolean compiled;
            try {
                compiled = compiler.getTask(
                    new StringWriter(), new InMemory(disk, classes), problems, options, null, List.of(new Source(source))
                ).call();
            } catch (StackOverflowError | RuntimeException crash) {
                compiled = false;
            }
            answer(out, compiled, classes, problems);
        }
    }

    private static void answer(
        DataOutputStream out,
        boolean compiled,
        Map<String, ByteArrayOutputStream> classes,
        DiagnosticCollector<JavaFileObject> problems
    ) throws IOException {
        out.writeInt(compiled ? classes.size() : -1);
        if (compiled) {
            for (Map.Entry<String, ByteArrayOutputStream> one : classes.entrySet()) {
                write(out, one.getKey().getBytes(StandardCharsets.UTF_8));
                write(out, one.getValue().toByteArray());
            }
        } else {
            String message = problems.getDiagnostics().stream()
                .filter(problem -> problem.getKind() == Diagnostic.Kind.ERROR)
                .map(problem -> "line " + problem.getLineNumber() + ": " + problem.getMessage(Locale.ROOT))
                .findFirst().orElse("the compiler failed");
            write(out, message.getBytes(StandardCharsets.UTF_8));
        }
        out.flush();
    }

    private static void write(DataOutputStream out, byte[] bytes) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private static class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("memory:///Problem.java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    private static class InMemory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        private final Map<String, ByteArrayOutputStream> classes;

        InMemory(StandardJavaFileManager disk, Map<String, ByteArrayOutputStream> classes) {
            super(disk);
            this.classes = classes;
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            classes.put(name, bytes);
            return new SimpleJavaFileObject(URI.create("memory:///" + name.replace('.', '/') + ".class"), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return bytes;
                }
            };
        }
    }
}
