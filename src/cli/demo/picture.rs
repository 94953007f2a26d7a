//! The picture of what the demo shows: SVG, for light and for dark pages.

use std::fmt::Write as _;

use anstyle::{Color, RgbColor};
use anstyle_svg::Term;

use crate::cli::output::{paint, style};

/// What was typed.
const COMMAND: &str = "cargo run --release -- demo";

/// The class of a colour in the picture, and what it is on a light page and on a dark one.
type Colour = (&'static str, [u8; 3], [u8; 3]);

/// The colours that are used. Each can be read on its page.
const COLOURS: [Colour; 5] = [
    ("fg", [0x1f, 0x23, 0x28], [0xf0, 0xf6, 0xfc]),
    ("bg", [0xf6, 0xf8, 0xfa], [0x0d, 0x11, 0x17]),
    ("fg-green", [0x1a, 0x7f, 0x37], [0x3f, 0xb9, 0x50]),
    ("fg-red", [0xcf, 0x22, 0x2e], [0xff, 0x7b, 0x72]),
    ("fg-yellow", [0x9a, 0x67, 0x00], [0xd2, 0x99, 0x22]),
];

/// Makes it of what was printed, with its escape codes.
pub(super) fn of(told: &str) -> String {
    let [foreground, background, ..] = COLOURS.map(|(_, [r, g, b], _)| Color::Rgb(RgbColor(r, g, b)));
    let term = Term::new().fg_color(foreground).bg_color(background);
    let text = format!("{} {COMMAND}\n{told}", paint(style::DIM, "$"));
    let picture = term.render_svg(text.trim_end());
    let rules = |colour: fn(&Colour) -> [u8; 3]| {
        COLOURS.iter().fold(String::new(), |mut rules, one| {
            let [r, g, b] = colour(one);
            // Writing into a String can't fail.
            let _ = writeln!(rules, "    .{} {{ fill: #{r:02x}{g:02x}{b:02x} }}", one.0);
            rules
        })
    };
    // The last rule wins. What is dimmed has to be legible, too.
    let style = format!(
        "{}    .dimmed {{ opacity: 0.7 }}\n    @media (prefers-color-scheme: dark) {{\n{}    }}\n  </style>",
        rules(|(_, light, _)| *light),
        rules(|(_, _, dark)| *dark)
    );
    // With a view box it shrinks with its page, and is not cut off.
    let (width, height) = (pixels(&picture, "width"), pixels(&picture, "height"));
    let title = format!(r#"<svg role="img" aria-label="What {COMMAND} prints" viewBox="0 0 {width} {height}" "#);
    picture.replacen("  </style>", &style, 1).replacen("<svg ", &title, 1)
}

/// The first size of this name in a picture.
fn pixels<'a>(picture: &'a str, name: &str) -> &'a str {
    let size = picture.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once("px\""));
    size.map_or("", |(size, _)| size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_text_its_colours_and_those_of_a_dark_page() {
        let text = format!("{}\n{}\n{}\n", paint(style::TITLE, "1. A <title>"), paint(style::GOOD, "+ b"), paint(style::DIM, "same"));
        let picture = of(&text);
        for part in ["1. A &lt;title&gt;", r#"class="fg-green""#, "prefers-color-scheme: dark", "#3fb950", COMMAND, r#"role="img""#] {
            assert!(picture.contains(part), "{part}\n{picture}");
        }
        assert!(!picture.contains('\u{1b}'));
        let (width, height) = (pixels(&picture, "width"), pixels(&picture, "height"));
        assert!(width.parse::<u32>().is_ok() && picture.contains(&format!(r#"viewBox="0 0 {width} {height}""#)), "{picture}");
    }
}
