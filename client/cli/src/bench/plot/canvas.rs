//! Lines over two axes, as SVG. Knows nothing of what is drawn.

use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 870.0;
/// Of one panel's plot.
const LEFT: f64 = 80.0;
const PLOT_WIDTH: f64 = 580.0;
const PLOT_HEIGHT: f64 = 290.0;
const FIRST_TOP: f64 = 100.0;
const PANEL_STEP: f64 = 410.0;
const LEGEND_LEFT: f64 = LEFT + PLOT_WIDTH + 24.0;
const LEGEND_STEP: f64 = 24.0;

/// Told apart on white and on black, also by most who see fewer colours (after Okabe and Ito).
const COLOURS: [&str; 9] =
    ["#7f7f7f", "#0080c8", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#cc79a7", "#9a7fe0", "#b09000"];

/// Opened by a dark viewer, paper and ink change places.
const STYLE: &str = "\
  text { font-family: system-ui, 'DejaVu Sans', sans-serif; font-size: 13px; fill: #1f2328 }
  .title { font-size: 19px; font-weight: 600 }
  .head { font-size: 15px; font-weight: 600 }
  .small { font-size: 11px }
  .paper { fill: #ffffff }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .axis { stroke: #57606a; stroke-width: 1.5; fill: none }
  .line { stroke-width: 2; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .paper { fill: #0d1117 }
    .grid { stroke: #30363d }
    .axis { stroke: #8b949e }
  }
";

/// From a value to a share of an axis.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    kind: Kind,
    /// Where lines and numbers stand.
    ticks: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Logarithmic,
}

impl Scale {
    /// Its end is the first round number that is not below `to`.
    pub(super) fn linear(from: f64, to: f64) -> Scale {
        let step = round_step((to - from).max(f64::MIN_POSITIVE) / 5.0);
        let steps = ((to - from) / step).ceil().max(1.0);
        let ticks = (0..=steps as usize).map(|at| from + step * at as f64).collect();
        Scale { from, to: from + step * steps, kind: Kind::Linear, ticks }
    }

    /// Ticks at 1, 2 and 5 of every power of ten.
    pub(super) fn logarithmic(from: f64, to: f64) -> Scale {
        let from = if from > 0.0 { from } else { 1.0 };
        let to = if to > from * 1.01 { to } else { from * 10.0 };
        let powers = (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
        let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
        let ticks = all.filter(|tick| (from..=to).contains(tick)).collect();
        Scale { from, to, kind: Kind::Logarithmic, ticks }
    }

    /// Ticks at powers of two.
    pub(super) fn doubling(from: f64, to: f64) -> Scale {
        let scale = Scale::logarithmic(from, to);
        let doubled = std::iter::successors(Some(from.max(1.0)), |tick| Some(tick * 2.0));
        let ticks = doubled.take_while(|tick| *tick <= scale.to * 1.001).collect();
        Scale { ticks, ..scale }
    }

    fn share(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.from) / (self.to - self.from),
            Kind::Logarithmic => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= least).unwrap_or(least)
}

/// One picture of the file.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) x_title: &'static str,
    pub(super) y_title: &'static str,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// 0 is the upper one.
    pub(super) top: usize,
}

/// A line with a place in the legend.
pub(super) struct Line {
    pub(super) name: String,
    /// Its place among the colours.
    pub(super) colour: usize,
    pub(super) dashes: Dashes,
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dashes {
    None,
    Dashed,
    Dotted,
}

impl Dashes {
    fn pattern(self) -> &'static str {
        match self {
            Dashes::None => "none",
            Dashes::Dashed => "8 3",
            Dashes::Dotted => "2 3",
        }
    }
}

/// Whether points stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    None,
    Dots,
}

/// A file that is being drawn.
pub(super) struct Canvas {
    svg: String,
}

impl Canvas {
    pub(super) fn new(title: &str, subtitle: &str) -> Canvas {
        let mut canvas = Canvas { svg: String::new() };
        let (title, subtitle) = (escaped(title), escaped(subtitle));
        canvas.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" role=\"img\">\n<title>{title}</title>\n<desc>{subtitle}</desc>\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
        ));
        canvas.text("title", (20.0, 34.0), "start", &title);
        canvas.text("small", (20.0, 54.0), "start", &subtitle);
        canvas
    }

    pub(super) fn panel(&mut self, panel: &Panel, lines: &[Line], marks: Marks) {
        let top = FIRST_TOP + PANEL_STEP * panel.top as f64;
        self.frame(panel, top);
        for (index, Line { name, colour, dashes, points }) in lines.iter().enumerate() {
            let (colour, dashes) = (COLOURS[colour % COLOURS.len()], dashes.pattern());
            let place = |(x, y): &(f64, f64)| {
                (LEFT + PLOT_WIDTH * panel.x.share(*x), top + PLOT_HEIGHT * (1.0 - panel.y.share(*y)))
            };
            let placed: Vec<_> = points.iter().map(place).collect();
            self.line(&placed, colour, dashes);
            let height = top + 8.0 + LEGEND_STEP * index as f64;
            self.line(&[(LEGEND_LEFT, height), (LEGEND_LEFT + 30.0, height)], colour, dashes);
            self.text("small", (LEGEND_LEFT + 38.0, height + 4.0), "start", &escaped(name));
            if marks == Marks::Dots {
                for (x, y) in placed {
                    self.put(format_args!(
                        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>\n"
                    ));
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }

    fn frame(&mut self, panel: &Panel, top: f64) {
        let bottom = top + PLOT_HEIGHT;
        self.text("head", (LEFT, top - 14.0), "start", panel.title);
        for tick in &panel.x.ticks {
            let x = LEFT + PLOT_WIDTH * panel.x.share(*tick);
            self.grid((x, top), (x, bottom));
            self.text("small", (x, bottom + 18.0), "middle", &number(*tick));
        }
        for tick in &panel.y.ticks {
            let y = top + PLOT_HEIGHT * (1.0 - panel.y.share(*tick));
            self.grid((LEFT, y), (LEFT + PLOT_WIDTH, y));
            self.text("small", (LEFT - 8.0, y + 4.0), "end", &number(*tick));
        }
        let right = LEFT + PLOT_WIDTH;
        self.put(format_args!("<path class=\"axis\" d=\"M{LEFT} {top}V{bottom}H{right}\"/>\n"));
        self.text("", (LEFT + PLOT_WIDTH / 2.0, bottom + 42.0), "middle", panel.x_title);
        let (x, y) = (24.0, top + PLOT_HEIGHT / 2.0);
        let title = panel.y_title;
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">{title}</text>\n"
        ));
    }

    fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    fn line(&mut self, points: &[(f64, f64)], colour: &str, dashes: &str) {
        let mut placed = String::new();
        for (x, y) in points {
            placed.push_str(&format!("{x:.1},{y:.1} "));
        }
        self.put(format_args!(
            "<polyline class=\"line\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\" points=\"{}\"/>\n",
            placed.trim_end()
        ));
    }

    /// The text must be escaped.
    fn text(&mut self, class: &str, at: (f64, f64), anchor: &str, text: &str) {
        let (x, y) = at;
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
        ));
    }

    fn put(&mut self, piece: std::fmt::Arguments<'_>) {
        self.svg.write_fmt(piece).expect("a String takes whatever is written to it");
    }
}

/// Without digits that say nothing.
fn number(value: f64) -> String {
    if value >= 1_000.0 && value % 1_000.0 == 0.0 {
        return format!("{},000", value / 1_000.0);
    }
    let digits = if value >= 10.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers_and_have_few_ticks() {
        let linear = Scale::linear(0.0, 970.0);
        assert_eq!(linear.ticks, [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]);
        assert!((linear.share(500.0) - 0.5).abs() < 1e-9);
        let logarithmic = Scale::logarithmic(0.6, 20.0);
        assert_eq!(
            logarithmic.ticks.iter().map(|tick| number(*tick)).collect::<Vec<_>>(),
            ["1", "2", "5", "10", "20"]
        );
        assert!((logarithmic.share(0.6)).abs() < 1e-9 && (logarithmic.share(20.0) - 1.0).abs() < 1e-9);
        assert_eq!(Scale::doubling(1.0, 8.0).ticks, [1.0, 2.0, 4.0, 8.0]);
    }

    #[test]
    fn numbers_are_short() {
        let said = [0.5, 0.05, 1.0, 2.5, 64.0, 100.0, 1_500.0, 20_000.0].map(number);
        assert_eq!(said, ["0.5", "0.05", "1", "2.5", "64", "100", "1500", "20,000"]);
    }
}
