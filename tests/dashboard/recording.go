package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// rateInterval stands for Grafana's $__rate_interval, which follows from how often Prometheus scrapes.
const rateInterval = "1m"

// recording is what a Prometheus would hold that scraped during the run.
type recording struct {
	interval time.Duration
	scrapes  int
	series   []storage.Series
}

// sample is a number at a time.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Copy() chunks.Sample           { return s }

// readRecording reads the format in which the tests of Prometheus load series: "load 5s", then a line for each.
func readRecording(path string) (*recording, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	series := parser.NewParser(parser.Options{})
	read := &recording{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if interval, found := strings.CutPrefix(line, "load "); found {
			if read.interval, err = time.ParseDuration(interval); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			continue
		}
		name, values, err := series.ParseSeriesDesc(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var samples []chunks.Sample
		for i, value := range values {
			if !value.Omitted {
				samples = append(samples, sample{int64(i) * read.interval.Milliseconds(), value.Value})
			}
		}
		read.scrapes = max(read.scrapes, len(values))
		read.series = append(read.series, storage.NewListSeries(name, samples))
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if read.interval == 0 || len(read.series) == 0 {
		return nil, fmt.Errorf("%s holds no series", path)
	}
	sort.Slice(read.series, func(a, b int) bool {
		return labels.Compare(read.series[a].Labels(), read.series[b].Labels()) < 0
	})
	return read, nil
}

// end is the time of the last scrape.
func (r *recording) end() time.Time {
	return time.Unix(0, 0).Add(time.Duration(r.scrapes-1) * r.interval)
}

// line is one series of an answer, and what the legend calls it.
type line struct {
	name   string
	points []promql.FPoint
}

// answer asks every query of the dashboard, over the whole recording. The lines are those of each panel, in its order.
func (r *recording) answer(board *board) (map[int][]line, []error) {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{})})
	answered, problems := map[int][]line{}, []error(nil)
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			lines, err := r.ask(engine, target)
			if err == nil && len(lines) == 0 {
				err = errors.New("it finds nothing in the recording")
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("the panel %q: %w: %s", panel.Title, err, target.Expr))
			}
			answered[panel.ID] = append(answered[panel.ID], lines...)
		}
	}
	return answered, problems
}

func (r *recording) ask(engine *promql.Engine, target target) ([]line, error) {
	query := strings.NewReplacer("$__rate_interval", rateInterval, "$tenant", ".*").Replace(target.Expr)
	asked, err := engine.NewRangeQuery(context.Background(), r, nil, query, time.Unix(0, 0), r.end(), r.interval)
	if err != nil {
		return nil, err
	}
	defer asked.Close()
	result := asked.Exec(context.Background())
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, series := range matrix {
		points := series.Floats[:0:0]
		for _, point := range series.Floats {
			// What is divided by nothing is no point, in Grafana neither.
			if !math.IsNaN(point.F) && !math.IsInf(point.F, 0) {
				points = append(points, point)
			}
		}
		if len(points) > 0 {
			lines = append(lines, line{legend(target.LegendFormat, series.Metric), points})
		}
	}
	sort.Slice(lines, func(a, b int) bool { return lines[a].name < lines[b].name })
	return lines, nil
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func legend(format string, metric labels.Labels) string {
	return strings.TrimSpace(placeholder.ReplaceAllStringFunc(format, func(found string) string {
		return metric.Get(placeholder.FindStringSubmatch(found)[1])
	}))
}

// What follows makes the recording a storage that the engine can ask.

func (r *recording) Querier(_, _ int64) (storage.Querier, error) { return querier{r}, nil }

type querier struct{ recorded *recording }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	found := &seriesSet{at: -1}
	for _, series := range q.recorded.series {
		matches := true
		for _, matcher := range matchers {
			matches = matches && matcher.Matches(series.Labels().Get(matcher.Name))
		}
		if matches {
			found.series = append(found.series, series)
		}
	}
	return found
}

func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) Close() error { return nil }

type seriesSet struct {
	series []storage.Series
	at     int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series                { return s.series[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
