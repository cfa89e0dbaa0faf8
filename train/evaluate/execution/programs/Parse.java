import com.sun.source.util.JavacTask;
import java.net.URI;
import java.util.*;
import javax.tools.*;

/** Reads sources, separated by NUL, and prints 1 for each that javac's parser accepts, 0 otherwise. */
public class Parse {
    public static void main(String[] arguments) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        String input = new String(System.in.readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        StringBuilder verdicts = new StringBuilder();
        for (String source : input.split("\0", -1)) {
            DiagnosticCollector<JavaFileObject> problems = new DiagnosticCollector<>();
            JavaFileObject file = new SimpleJavaFileObject(URI.create("string:///Name.java"), JavaFileObject.Kind.SOURCE) {
                @Override
                public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                    return source;
                }
            };
            ((JavacTask) compiler.getTask(null, null, problems, null, null, List.of(file))).parse().forEach(unit -> {});
            boolean wrong = problems.getDiagnostics().stream().anyMatch(one -> one.getKind() == Diagnostic.Kind.ERROR);
            verdicts.append(wrong ? '0' : '1');
        }
        System.out.println(verdicts);
    }
}
