//! Stack traces as text, read as frames and causes, each language in its own way.
//!
//! Rule: `awsxrayexporter`, `cause.go`, `parseException`: a line that does not look like a frame is
//!       passed over, and X-Ray has the innermost frame first.

/// How many frames of one exception are kept, the innermost.
const FRAMES_MAX: usize = 500;

/// Something thrown, as a stack trace tells it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Thrown {
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) frames: Vec<Frame>,
}

/// One frame; the line is 0 when it is not said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) path: String,
    pub(super) line: u64,
    pub(super) label: String,
}

impl Thrown {
    fn headed(line: &str) -> Self {
        let (kind, message) = line.split_once(": ").unwrap_or((line, ""));
        Self {
            kind: kind.trim().to_owned(),
            message: message.trim().to_owned(),
            frames: Vec::new(),
        }
    }

    fn push(&mut self, frame: Option<Frame>) {
        if let Some(frame) = frame.filter(|_| self.frames.len() < FRAMES_MAX) {
            self.frames.push(frame);
        }
    }
}

/// Reads a stack trace: what was thrown, then its causes. The first has frames only, since the
/// event says the rest; there is always one.
pub(super) fn parse(text: &str, language: &str) -> Vec<Thrown> {
    match language {
        "python" => python(text),
        // PHP's SDK writes traces as Java does.
        "java" | "php" => chained(text, "Caused by: ", java_frame),
        "javascript" | "nodejs" | "webjs" => chained(text, "Caused by: ", javascript_frame),
        "dotnet" => chained(text, " ---> ", dotnet_frame),
        "go" => vec![go(text)],
        _ => vec![Thrown::default()],
    }
}

/// Frames line by line, with causes below, each after a line that begins with `cause`.
fn chained(text: &str, cause: &str, frame: fn(&str) -> Option<Frame>) -> Vec<Thrown> {
    let mut chain = vec![];
    let mut now = Thrown::default();
    let mut passing = false;
    for line in text.lines() {
        if let Some(head) = line.strip_prefix(cause) {
            chain.push(std::mem::replace(&mut now, Thrown::headed(head)));
            passing = false;
        } else if line.trim_start().starts_with("Suppressed: ") {
            // Thrown while something was closed, it is no cause; nor are its own causes, indented.
            passing = true;
        } else if !passing {
            now.push(frame(line));
        }
    }
    chain.push(now);
    chain
}

/// `    at com.shop.Cart.add(Cart.java:42)`
fn java_frame(line: &str) -> Option<Frame> {
    let rest = line.trim_start().strip_prefix("at ")?;
    let (label, place) = rest.strip_suffix(')').unwrap_or(rest).rsplit_once('(')?;
    let (path, line) = path_and_line(place);
    Some(Frame { path: path.to_owned(), line, label: label.trim().to_owned() })
}

/// `    at add (/srv/cart.js:42:7)` or `    at /srv/cart.js:42:7`
fn javascript_frame(line: &str) -> Option<Frame> {
    let rest = line.trim().strip_prefix("at ")?;
    let (label, place) = match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((label, place)) => (label.trim(), place),
        None => ("", rest),
    };
    // The last number is the column, if there are two.
    let (before, last) = path_and_line(place);
    let (path, line) = match path_and_line(before) {
        (path, line) if path.len() < before.len() => (path, line),
        _ => (before, last),
    };
    Some(Frame { path: path.to_owned(), line, label: label.to_owned() })
}

/// `   at Shop.Cart.Add(Int32 id) in /srv/Cart.cs:line 42`
fn dotnet_frame(line: &str) -> Option<Frame> {
    let rest = line.trim().strip_prefix("at ")?;
    let (label, place) = rest.rsplit_once(" in ").unwrap_or((rest, ""));
    let (path, line) = match place.rsplit_once(":line ") {
        Some((path, line)) => (path, line.trim().parse().unwrap_or(0)),
        None => (place, 0),
    };
    Some(Frame { path: path.to_owned(), line, label: label.to_owned() })
}

/// Blocks of a head, frames and a last line that says what was thrown. The cause comes first and
/// the outermost frame of each too.
fn python(text: &str) -> Vec<Thrown> {
    const BETWEEN: [&str; 2] = [
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    ];
    let mut blocks = vec![];
    let mut frames = Vec::new();
    let mut said = "";
    for line in text.lines() {
        if BETWEEN.contains(&line.trim_end()) {
            blocks.push((std::mem::take(&mut frames), std::mem::take(&mut said)));
        } else if let Some(frame) = python_frame(line) {
            frames.push(frame);
        } else if !line.starts_with(' ') && !line.starts_with("Traceback ") && !line.is_empty() {
            // The first such line after the frames has the type; a message may have more lines.
            said = if said.is_empty() { line } else { said };
        }
    }
    blocks.push((frames, said));
    let thrown = |(mut frames, said): (Vec<Frame>, &str)| {
        frames.reverse();
        frames.truncate(FRAMES_MAX);
        Thrown { frames, ..Thrown::headed(said) }
    };
    blocks.into_iter().rev().map(thrown).collect()
}

/// `  File "/srv/cart.py", line 42, in add`
fn python_frame(line: &str) -> Option<Frame> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    let (line, label) = rest.split_once(", in ").unwrap_or((rest, ""));
    let line = line.trim().parse().ok()?;
    Some(Frame { path: path.to_owned(), line, label: label.to_owned() })
}

/// Pairs of lines: `main.add(0x1, 0x2)` and, indented, `/srv/cart.go:42 +0x1d`.
fn go(text: &str) -> Thrown {
    let mut thrown = Thrown::default();
    let mut label = "";
    for line in text.lines() {
        if let Some(place) = line.strip_prefix('\t') {
            let place = place.split(" +0x").next().unwrap_or(place);
            let (path, line) = path_and_line(place.trim());
            let frame = Frame { path: path.to_owned(), line, label: label.to_owned() };
            thrown.push(Some(frame).filter(|frame| !frame.label.is_empty()));
            label = "";
        } else {
            label = if line.starts_with("goroutine ") { "" } else { line.trim() };
        }
    }
    thrown
}

/// Splits `path:line`; without a number the line is 0 and all is path.
fn path_and_line(place: &str) -> (&str, u64) {
    let split = place.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse().ok()?)));
    split.unwrap_or((place, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Expected<'a> = &'a [(&'a str, &'a str, &'a [(&'a str, u64, &'a str)])];

    fn check(language: &str, text: &str, expected: Expected<'_>) {
        let found = parse(text, language);
        let found: Vec<_> = found
            .iter()
            .map(|thrown| {
                let frames = thrown.frames.iter();
                let frames: Vec<_> = frames.map(|f| (&f.path[..], f.line, &f.label[..])).collect();
                (&thrown.kind[..], &thrown.message[..], frames)
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(k, m, f)| (*k, *m, f.to_vec())).collect();
        assert_eq!(found, expected, "{language}: {text}");
    }

    #[test]
    fn java_has_causes_below() {
        let text = "shop.CartError: no cart\n\tat shop.Cart.add(Cart.java:42)\n\
            \tat shop.Main.main(Native Method)\n\tSuppressed: shop.Closed: x\n\t\tat shop.X.y(X.java:1)\n\
            Caused by: java.io.IOException: disk: full\n\tat shop.Disk.write(Disk.java:7)\n\t... 2 more";
        let frames: &[_] =
            &[("Cart.java", 42, "shop.Cart.add"), ("Native Method", 0, "shop.Main.main")];
        let cause: &[_] = &[("Disk.java", 7, "shop.Disk.write")];
        check("java", text, &[("", "", frames), ("java.io.IOException", "disk: full", cause)]);
        check("php", text, &[("", "", frames), ("java.io.IOException", "disk: full", cause)]);
    }

    #[test]
    fn python_has_causes_above_and_the_innermost_frame_last() {
        let text = "Traceback (most recent call last):\n  File \"disk.py\", line 7, in write\n    \
            raise OSError(\"full\")\nOSError: full\nand more\n\n\
            During handling of the above exception, another exception occurred:\n\n\
            Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\n    add()\n\
            \x20 File \"cart.py\", line 42, in add\n    raise CartError\nCartError: no cart\n";
        let frames: &[_] = &[("cart.py", 42, "add"), ("main.py", 1, "<module>")];
        let cause: &[_] = &[("disk.py", 7, "write")];
        check("python", text, &[("CartError", "no cart", frames), ("OSError", "full", cause)]);
    }

    #[test]
    fn javascript_has_columns_and_frames_without_a_function() {
        let text = "Error: no cart\n    at Cart.add (/srv/cart.js:42:7)\n    at /srv/main.js:1:2\n    \
            at new Promise (<anonymous>)\n    at node:internal/x:5";
        let frames: &[_] = &[
            ("/srv/cart.js", 42, "Cart.add"),
            ("/srv/main.js", 1, ""),
            ("<anonymous>", 0, "new Promise"),
            ("node:internal/x", 5, ""),
        ];
        check("nodejs", text, &[("", "", frames)]);
        check("javascript", text, &[("", "", frames)]);
    }

    #[test]
    fn dotnet_and_go_say_the_file_in_their_own_ways() {
        let text = "System.Exception: x\n   at Shop.Cart.Add(Int32 id) in /srv/Cart.cs:line 42\n   \
            at System.Void()";
        let frames: &[_] =
            &[("/srv/Cart.cs", 42, "Shop.Cart.Add(Int32 id)"), ("", 0, "System.Void()")];
        check("dotnet", text, &[("", "", frames)]);
        let text = "goroutine 1 [running]:\nmain.add(0x1, 0x2)\n\t/srv/cart.go:42 +0x1d\n\
            created by main.main\n\t/srv/main.go:1\n\t/odd";
        let frames: &[_] = &[
            ("/srv/cart.go", 42, "main.add(0x1, 0x2)"),
            ("/srv/main.go", 1, "created by main.main"),
        ];
        check("go", text, &[("", "", frames)]);
    }

    #[test]
    fn text_in_no_known_form_has_no_frames() {
        for language in ["java", "nodejs", "dotnet", "go", "rust", ""] {
            check(language, "no frames here", &[("", "", &[])]);
            check(language, "", &[("", "", &[])]);
        }
        check("python", "", &[("", "", &[])]);
    }
}
