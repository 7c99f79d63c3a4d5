//! Reads one JSON value on stdin and prints it indented, keys in their order; says where a broken one breaks.

use std::fmt;
use std::io::{self, Read, Write};

enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

struct Broken {
    at: usize,
    wanted: &'static str,
}

struct Parser<'text> {
    text: &'text str,
    at: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, Broken> {
        let value = self.value()?;
        self.space();
        if self.at < self.text.len() { self.broken("the end") } else { Ok(value) }
    }

    fn value(&mut self) -> Result<Value, Broken> {
        self.space();
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.list(),
            Some('"') => self.text().map(Value::Text),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.word("true", Value::Bool(true)),
            Some('f') => self.word("false", Value::Bool(false)),
            Some('n') => self.word("null", Value::Null),
            _ => self.broken("a value"),
        }
    }

    fn object(&mut self) -> Result<Value, Broken> {
        let mut fields = Vec::new();
        self.at += 1;
        self.space();
        if self.eat('}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            let key = self.text()?;
            self.space();
            if !self.eat(':') {
                return self.broken("':'");
            }
            fields.push((key, self.value()?));
            self.space();
            if self.eat('}') {
                return Ok(Value::Object(fields));
            }
            if !self.eat(',') {
                return self.broken("',' or '}'");
            }
        }
    }

    fn list(&mut self) -> Result<Value, Broken> {
        let mut values = Vec::new();
        self.at += 1;
        self.space();
        if self.eat(']') {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value()?);
            self.space();
            if self.eat(']') {
                return Ok(Value::List(values));
            }
            if !self.eat(',') {
                return self.broken("',' or ']'");
            }
        }
    }

    fn text(&mut self) -> Result<String, Broken> {
        if !self.eat('"') {
            return self.broken("a string");
        }
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(letter) if letter >= ' ' => text.push(letter),
                _ => return self.broken("'\"'"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Broken> {
        match self.next() {
            Some(letter @ ('"' | '\\' | '/')) => Ok(letter),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.hex()?;
                let mut units = vec![first];
                if (0xd800..0xdc00).contains(&first) && self.eat('\\') && self.eat('u') {
                    units.push(self.hex()?);
                }
                Ok(char::decode_utf16(units).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => self.broken("an escape"),
        }
    }

    fn hex(&mut self) -> Result<u16, Broken> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or("");
        match u16::from_str_radix(digits, 16) {
            Ok(unit) => {
                self.at += 4;
                Ok(unit)
            }
            Err(_) => self.broken("four hexadecimal digits"),
        }
    }

    fn number(&mut self) -> Result<Value, Broken> {
        let rest = &self.text[self.at..];
        let end = rest.find(|letter: char| !matches!(letter, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let number = &rest[..end.unwrap_or(rest.len())];
        if number.parse::<f64>().is_err() {
            return self.broken("a number");
        }
        self.at += number.len();
        Ok(Value::Number(number.to_owned()))
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, Broken> {
        if !self.text[self.at..].starts_with(word) {
            return self.broken(word);
        }
        self.at += word.len();
        Ok(value)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|letter| matches!(letter, ' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    fn broken<T>(&self, wanted: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, wanted })
    }
}

impl Value {
    fn print(&self, to: &mut impl Write, depth: usize) -> io::Result<()> {
        match self {
            Value::Null => write!(to, "null"),
            Value::Bool(value) => write!(to, "{value}"),
            Value::Number(number) => write!(to, "{number}"),
            Value::Text(text) => write!(to, "{}", Quoted(text)),
            Value::List(values) if values.is_empty() => write!(to, "[]"),
            Value::Object(fields) if fields.is_empty() => write!(to, "{{}}"),
            Value::List(values) => {
                let rows = values.iter().map(|value| (None, value));
                print_rows(to, depth, ('[', ']'), rows)
            }
            Value::Object(fields) => {
                let rows = fields.iter().map(|(key, value)| (Some(key.as_str()), value));
                print_rows(to, depth, ('{', '}'), rows)
            }
        }
    }
}

fn print_rows<'value>(
    to: &mut impl Write,
    depth: usize,
    (open, close): (char, char),
    rows: impl Iterator<Item = (Option<&'value str>, &'value Value)>,
) -> io::Result<()> {
    write!(to, "{open}")?;
    for (index, (key, value)) in rows.enumerate() {
        write!(to, "{}\n{:2$}", if index > 0 { "," } else { "" }, "", 2 * (depth + 1))?;
        if let Some(key) = key {
            write!(to, "{}: ", Quoted(key))?;
        }
        value.print(to, depth + 1)?;
    }
    write!(to, "\n{:1$}{close}", "", 2 * depth)
}

struct Quoted<'text>(&'text str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "\"")?;
        for letter in self.0.chars() {
            match letter {
                '"' => write!(to, "\\\"")?,
                '\\' => write!(to, "\\\\")?,
                '\n' => write!(to, "\\n")?,
                '\t' => write!(to, "\\t")?,
                letter if letter < ' ' => write!(to, "\\u{:04x}", u32::from(letter))?,
                letter => write!(to, "{letter}")?,
            }
        }
        write!(to, "\"")
    }
}

fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    match (Parser { text: &text, at: 0 }).document() {
        Ok(value) => {
            let mut to = io::stdout().lock();
            value.print(&mut to, 0)?;
            writeln!(to)
        }
        Err(broken) => {
            let line = text[..broken.at].matches('\n').count() + 1;
            eprintln!("line {line}: {} expected", broken.wanted);
            std::process::exit(1);
        }
    }
}
