//! A guide, as whoever follows it reads it: its sections, the files that it shows and the commands that it gives.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use test_support::repository::{read, root};

/// What is to be done, in the order in which the guide says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A block of `sh`.
    Commands(String),
    /// A block whose first line names a file: ```` ```json title=config.json ````.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        text: String,
    },
}

/// A guide.
pub(super) struct Guide {
    path: String,
    sections: Vec<(String, Vec<Block>)>,
}

impl Guide {
    /// Reads a document of the repository.
    pub(super) fn read(path: &str) -> Self {
        Self { path: path.to_owned(), sections: sections(&read(&root().join(path))) }
    }

    /// The blocks of the section with this heading.
    pub(super) fn section(&self, heading: &str) -> &[Block] {
        let found = self.sections.iter().find(|(title, _)| title == heading);
        let (_, blocks) = found.unwrap_or_else(|| panic!("{} has no section {heading:?}", self.path));
        blocks
    }

    /// The headings of the sections that have commands.
    pub(super) fn steps(&self) -> Vec<&str> {
        let has_commands = |blocks: &[Block]| blocks.iter().any(|block| matches!(block, Block::Commands(_)));
        self.sections.iter().filter(|(_, blocks)| has_commands(blocks)).map(|(title, _)| title.as_str()).collect()
    }
}

fn sections(markdown: &str) -> Vec<(String, Vec<Block>)> {
    let mut found: Vec<(String, Vec<Block>)> = Vec::new();
    let (mut heading, mut code) = (None::<String>, None::<(String, String)>);
    for event in Parser::new(markdown) {
        if let Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) = event {
            heading = Some(String::new());
        } else if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event {
            code = Some((info.into_string(), String::new()));
        } else if let (Event::Text(text), Some((_, block))) = (&event, &mut code) {
            block.push_str(text);
        } else if let (Event::Text(text) | Event::Code(text), Some(heading)) = (&event, &mut heading) {
            heading.push_str(text);
        } else if let Event::End(TagEnd::Heading(HeadingLevel::H2)) = event {
            found.extend(heading.take().map(|title| (title, Vec::new())));
        } else if let Event::End(TagEnd::CodeBlock) = event
            && let (Some((info, text)), Some((_, blocks))) = (code.take(), found.last_mut())
        {
            match info.split_whitespace().find_map(|word| word.strip_prefix("title=")) {
                Some(name) => blocks.push(Block::File { name: name.to_owned(), text }),
                None if info == "sh" => blocks.push(Block::Commands(text)),
                None => {}
            }
        }
    }
    found
}

#[test]
fn files_and_commands_are_read_in_their_order_and_output_is_not_run() {
    let text = "# T\n\n```sh\nnever\n```\n\n## 1. `a` b\n\n```json title=x/y.json\n{}\n```\n\n- so\n\n  ```sh\n  run\n  ```\n\n```text\nsaid\n```\n\n## 2\n";
    let file = Block::File { name: "x/y.json".to_owned(), text: "{}\n".to_owned() };
    assert_eq!(sections(text), [("1. a b".to_owned(), vec![file, Block::Commands("run\n".to_owned())]), ("2".to_owned(), vec![])]);
}
