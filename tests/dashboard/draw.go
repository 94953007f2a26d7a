package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"time"
)

// Measures in pixels. Grafana's grid has 24 columns; a row is as high as it is there, nearly.
const (
	column, row  = 50, 30
	gap          = 4
	head         = 64
	letter       = 6.1 // of the legend, on average
	legendHeight = 16
	axisWidth    = 58
	axisHeight   = 18
	titleHeight  = 28
)

// The colors have a meaning in both modes: those of lines differ in lightness, too.
const style = `
.page { fill: #ffffff } .panel { fill: #f6f8fa; stroke: #d0d7de } .text { fill: #1f2328 } .quiet { fill: #59636e }
.grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
.title { font-size: 13px; font-weight: 600 } .small { font-size: 11px } .value { font-weight: 600 }
.green { fill: #c7efce } .red { fill: #ffd2cf } .orange { fill: #ffe3c4 }
.l0 { stroke: #0969da } .l1 { stroke: #bc4c00 } .l2 { stroke: #1a7f37 } .l3 { stroke: #8250df } .l4 { stroke: #9a6700 }
.l5 { stroke: #cf222e } .l6 { stroke: #0a7f8c } .l7 { stroke: #bf3989 } .l8 { stroke: #57606a } .l9 { stroke: #4d7c0f }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .panel { fill: #151b23; stroke: #3d444d } .text { fill: #f0f6fc } .quiet { fill: #9198a1 }
.grid { stroke: #2f363d }
.green { fill: #12401f } .red { fill: #6b1a1a } .orange { fill: #5c3a10 }
.l0 { stroke: #4493f8 } .l1 { stroke: #f0883e } .l2 { stroke: #3fb950 } .l3 { stroke: #ab7df8 } .l4 { stroke: #d29922 }
.l5 { stroke: #ff7b72 } .l6 { stroke: #39c5cf } .l7 { stroke: #f778ba } .l8 { stroke: #9198a1 } .l9 { stroke: #a3e635 }
}
`

// colors is how many lines look different.
const colors = 10

type canvas struct{ bytes.Buffer }

func (c *canvas) add(format string, arguments ...any) { fmt.Fprintf(c, format+"\n", arguments...) }

func (c *canvas) text(x, y float64, class, anchor, text string) {
	c.add(`<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`, class, pixels(x), pixels(y), anchor, html.EscapeString(text))
}

// pixels to a tenth, so that machines that add up differently draw the same.
func pixels(value float64) string {
	return strconv.FormatFloat(math.Round(value*10)/10, 'f', -1, 64)
}

// box is where something is drawn.
type box struct{ x, y, w, h float64 }

func draw(board *board, answered map[int][]line, recorded *recording) []byte {
	rows := 0
	for _, panel := range board.Panels {
		rows = max(rows, panel.GridPos.Y+panel.GridPos.H)
	}
	width, height := 24*column+2*gap, rows*row+head+gap
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif">`, width, height, width, height)
	c.add(`<title id="title">The dashboard of the %s</title>`, html.EscapeString(board.Title))
	c.add("<style>%s</style>", style)
	c.add(`<rect class="page" width="%d" height="%d"/>`, width, height)
	c.text(3*gap, 26, "text value", "start", board.Title)
	minutes := recorded.end().Sub(time.Unix(0, 0)).Minutes()
	c.text(3*gap, 48, "quiet small", "start", fmt.Sprintf("%.0f minutes of a real run against the emulated tenant, scraped every %.0f s. "+
		"Drawn from the queries of the dashboard by tests/dashboard, not by Grafana.", minutes, recorded.interval.Seconds()))
	for _, panel := range board.Panels {
		at := panel.GridPos
		b := box{float64(at.X*column + 2*gap), float64(at.Y*row + head), float64(at.W*column - gap), float64(at.H*row - gap)}
		c.add(`<g id="panel-%d">`, panel.ID)
		c.add("<title>%s</title>", html.EscapeString(panel.Title))
		c.add("<desc>%s</desc>", html.EscapeString(panel.queries()))
		c.add(`<rect class="panel" x="%s" y="%s" width="%s" height="%s" rx="4"/>`, pixels(b.x), pixels(b.y), pixels(b.w), pixels(b.h))
		c.text(b.x+10, b.y+19, "text title", "start", panel.Title)
		inner := box{b.x + 8, b.y + titleHeight, b.w - 16, b.h - titleHeight - 6}
		if panel.Type == "stat" {
			drawStat(c, &panel, answered[panel.ID], inner)
		} else {
			drawLines(c, &panel, answered[panel.ID], inner, recorded)
		}
		c.add("</g>")
	}
	c.add("</svg>")
	return c.Bytes()
}

// drawStat shows the last value of each line, as a stat panel does.
func drawStat(c *canvas, panel *panel, lines []line, in box) {
	each := in.w / float64(len(lines))
	for i, line := range lines {
		value := line.points[len(line.points)-1].F
		x := in.x + float64(i)*each
		class := panel.color(value)
		if class != "" {
			c.add(`<rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="3"/>`, class, pixels(x+1), pixels(in.y), pixels(each-2), pixels(in.h))
		}
		c.add(`<text class="text value" font-size="24" x="%s" y="%s" text-anchor="middle">%s</text>`, pixels(x+each/2), pixels(in.y+in.h/2+4), html.EscapeString(panel.shown(value)))
		c.text(x+each/2, in.y+in.h-10, "quiet small", "middle", shortened(line.name, each))
	}
}

// drawLines shows all lines over time.
func drawLines(c *canvas, panel *panel, lines []line, in box, recorded *recording) {
	legend := place(lines, in.w)
	rows := legend[len(legend)-1].row + 1
	plot := box{in.x + axisWidth, in.y + 4, in.w - axisWidth - 6, in.h - axisHeight - 4 - float64(rows*legendHeight)}
	top := 0.0
	for _, line := range lines {
		for _, point := range line.points {
			top = math.Max(top, point.F)
		}
	}
	unit := panel.FieldConfig.Defaults.Unit
	steps, stride := scale(top, unit)
	top = stride * float64(steps)
	for i := 0; i <= steps; i++ {
		y := plot.y + plot.h*(1-float64(i)/float64(steps))
		c.add(`<path class="grid" d="M%s %sH%s"/>`, pixels(plot.x), pixels(y), pixels(plot.x+plot.w))
		c.text(plot.x-6, y+4, "quiet small", "end", shownOf(stride*float64(i), unit))
	}
	end := recorded.end().UnixMilli()
	for minute := int64(0); minute*60_000 <= end; minute += max(1, end/60_000/6) {
		x := plot.x + plot.w*float64(minute*60_000)/float64(end)
		anchor := "middle"
		if minute == 0 {
			anchor = "start"
		} else if x > plot.x+plot.w-20 {
			anchor = "end"
		}
		c.text(x, plot.y+plot.h+14, "quiet small", anchor, fmt.Sprintf("%d min", minute))
	}
	for i, line := range lines {
		var d strings.Builder
		for i, point := range line.points {
			// Where the series was not there the line is not either.
			command := "L"
			if i == 0 || point.T-line.points[i-1].T > recorded.interval.Milliseconds() {
				command = "M"
			}
			d.WriteString(command + pixels(plot.x+plot.w*float64(point.T)/float64(end)) + " " + pixels(plot.y+plot.h*(1-math.Max(point.F, 0)/top)))
		}
		c.add(`<path class="line l%d" d="%s"/>`, i%colors, d.String())
	}
	for i, entry := range legend {
		x, y := in.x+4+entry.x, plot.y+plot.h+axisHeight+float64(entry.row*legendHeight)+10
		c.add(`<path class="line l%d" stroke-width="3" d="M%s %sh12"/>`, i%colors, pixels(x), pixels(y-4))
		c.text(x+16, y, "text small", "start", lines[i].name)
	}
}

// entry is where a name stands in the legend.
type entry struct {
	x   float64
	row int
}

func place(lines []line, width float64) []entry {
	var placed []entry
	x, row := 0.0, 0
	for _, line := range lines {
		wide := 32 + float64(len([]rune(line.name)))*letter
		if x > 0 && x+wide > width {
			x, row = 0, row+1
		}
		placed = append(placed, entry{x, row})
		x += wide
	}
	return placed
}

// scale is how many lines the grid has above zero, and how far they are apart.
func scale(top float64, unit string) (int, float64) {
	if top <= 0 {
		return 1, 1
	}
	factor, base := 1.0, 10.0
	if unit == "bytes" {
		factor, base = math.Pow(1024, math.Floor(math.Log2(top)/10)), 10
	}
	raw := top / factor / 4
	power := math.Pow(base, math.Floor(math.Log10(raw)))
	for _, nice := range []float64{1, 2, 2.5, 5, 10} {
		if nice*power >= raw*(1-1e-9) {
			stride := nice * power * factor
			return int(math.Ceil(top/stride - 1e-9)), stride
		}
	}
	return 4, raw * factor
}

// shown is a value as the panel says it.
func (p *panel) shown(value float64) string {
	for _, mapping := range p.FieldConfig.Defaults.Mappings {
		if option, found := mapping.Options[strconv.FormatFloat(value, 'f', -1, 64)]; found {
			return option.Text
		}
	}
	return shownOf(value, p.FieldConfig.Defaults.Unit)
}

func shownOf(value float64, unit string) string {
	digits := func(value float64) string {
		precision := 3
		if value != 0 {
			precision = max(0, 2-int(math.Floor(math.Log10(math.Abs(value)))))
		}
		text := strconv.FormatFloat(value, 'f', min(precision, 6), 64)
		if strings.Contains(text, ".") {
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
		}
		return text
	}
	switch {
	case unit == "s" && value == 0:
		return "0 s"
	case unit == "s" && value < 1:
		return digits(value*1000) + " ms"
	case unit == "s" && value < 120:
		return digits(value) + " s"
	case unit == "s":
		return digits(value/60) + " min"
	case unit == "opm":
		return digits(value) + " /min"
	case unit == "bytes":
		return digits(value/(1<<20)) + " MiB"
	default:
		return digits(value)
	}
}

// shortened cuts a name that has no room.
func shortened(name string, width float64) string {
	room, letters := int((width-4)/letter), []rune(name)
	if len(letters) <= room || room < 2 {
		return name
	}
	return string(letters[:room-1]) + "…"
}
