// Draws the report's charts from the JSON that stands in the page. Nothing here computes a number.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('chart-data').textContent);
  document.documentElement.classList.add('scripted');

  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  const canvas = (id) => document.getElementById('chart-' + id);
  let drawn = [];

  const axis = (more = {}) => ({
    grid: { color: colour('line'), drawBorder: false, ...more.grid },
    ticks: { color: colour('soft'), maxRotation: 0, autoSkipPadding: 16, ...more.ticks },
    title: { display: Boolean(more.title), text: more.title, color: colour('soft') },
    ...more.axis,
  });

  const draw = (id, config) => {
    const place = canvas(id);
    if (place) drawn.push(new Chart(place, config));
  };

  const legend = (display, more = {}) => ({
    display,
    align: 'start',
    labels: { color: colour('ink'), boxWidth: 12, boxHeight: 12, ...more },
  });

  const lengths = (d) => {
    const bars = (label, values, fill) => ({
      label, data: values, backgroundColor: fill, categoryPercentage: 0.82, barPercentage: 0.95,
      borderRadius: 2,
    });
    draw('lengths', {
      type: 'bar',
      data: {
        labels: d.labels,
        datasets: [
          bars(d.before_name, d.before, colour('base')),
          bars(d.after_name, d.after, colour('tuned')),
        ],
      },
      options: {
        maintainAspectRatio: false,
        scales: {
          x: axis({ grid: { display: false }, title: 'characters' }),
          y: axis({ title: 'records' }),
        },
        plugins: { legend: legend(true) },
      },
    });
  };

  const line = (label, points, stroke, more = {}) => ({
    label, data: points.map(([x, y]) => ({ x, y })), borderColor: stroke, backgroundColor: stroke,
    borderWidth: 1.5, pointRadius: 0, pointHitRadius: 8, ...more,
  });

  // Upright lines at the steps where something happened, over the curves' whole height.
  const markers = (marks) => ({
    id: 'markers',
    beforeDatasetsDraw({ ctx, chartArea, scales: { x } }) {
      const looks = {
        checkpoint: [colour('base'), [1, 3]], resume: [colour('ink'), [5, 3]], spike: [colour('worse'), []],
      };
      ctx.save();
      ctx.lineWidth = 1;
      for (const { kind, step } of marks) {
        const [stroke, dash] = looks[kind];
        const at = x.getPixelForValue(step);
        ctx.strokeStyle = ctx.fillStyle = stroke;
        ctx.setLineDash(dash);
        ctx.beginPath();
        ctx.moveTo(at, chartArea.top);
        ctx.lineTo(at, chartArea.bottom);
        ctx.stroke();
        if (kind !== 'spike') continue;
        ctx.beginPath();
        ctx.moveTo(at - 4, chartArea.top);
        ctx.lineTo(at + 4, chartArea.top);
        ctx.lineTo(at, chartArea.top + 7);
        ctx.fill();
      }
      ctx.restore();
    },
  });

  // What the lines mean, in the legend, where they are.
  const marker_keys = (marks) => [
    ['checkpoint', 'base', [1, 3]], ['resume', 'ink', [5, 3]], ['spike', 'worse', []],
  ].filter(([kind]) => marks.some((mark) => mark.kind === kind)).map(([kind, name, dash]) => ({
    label: kind, data: [], borderColor: colour(name), backgroundColor: colour(name), borderWidth: 2,
    borderDash: dash, pointRadius: 0,
  }));

  const curve = (id, sets, y, marks = []) => {
    const last = Math.max(1, ...sets.map((set) => set.data.length ? set.data.at(-1).x : 0));
    draw(id, {
      type: 'line',
      plugins: [markers(marks)],
      data: { datasets: sets.filter((set) => set.data.length > 0).concat(marker_keys(marks)) },
      options: {
        maintainAspectRatio: false,
        interaction: { mode: 'nearest', axis: 'x', intersect: false },
        scales: {
          x: axis({ grid: { display: false }, title: 'step', axis: { type: 'linear', min: 0, max: last } }),
          y: axis(y),
        },
        plugins: { legend: legend(sets.length > 1, { usePointStyle: true, pointStyle: 'line' }) },
      },
    });
  };

  // As many hues as there are sources, evenly spaced, readable on both papers.
  const hue = (i, count) => `hsl(${Math.round(160 + 360 * i / count) % 360} 55% 45%)`;

  const training = (d, index) => {
    const stroke = colour(d.name === 'base' ? 'base' : 'tuned');
    const held_out = (label, points, stroke) => line(label, points, stroke, {
      pointRadius: points.length > 30 ? 0 : 3, borderWidth: 2,
    });
    curve('loss-' + index, [
      line('training', d.loss, stroke),
      held_out('held out', d.eval_loss, colour('lost')),
      held_out('held out, the base’s language', d.base_eval_loss, 'hsl(215 55% 52%)'),
    ], undefined, d.marks);
    curve('sources-' + index, d.sources.map((source, i) =>
      line(source.name, source.loss, hue(i, d.sources.length))));
    curve('lr-' + index, [line('learning rate', d.lr, stroke)], {
      ticks: { callback: (value) => value === 0 ? '0' : value.toExponential(0) },
    });
    curve('grad_norm-' + index, [line('gradient norm', d.grad_norm, stroke)]);
    curve('tokens_per_second-' + index, [line('tokens a second', d.tokens_per_second, stroke)], {
      axis: { min: 0 },
    });
  };

  // A line over each bar from the interval's low to its high end.
  const whiskers = {
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const { ctx, scales: { x } } = chart;
      ctx.save();
      ctx.strokeStyle = colour('ink');
      ctx.lineWidth = 1.25;
      chart.data.datasets.forEach((set, i) => {
        chart.getDatasetMeta(i).data.forEach((bar, k) => {
          const [, low, high] = set.intervals[k];
          if (low === null || high === null) return;
          const [a, b] = [x.getPixelForValue(low), x.getPixelForValue(high)];
          ctx.beginPath();
          ctx.moveTo(a, bar.y);
          ctx.lineTo(b, bar.y);
          for (const end of [a, b]) {
            ctx.moveTo(end, bar.y - 4);
            ctx.lineTo(end, bar.y + 4);
          }
          ctx.stroke();
        });
      });
      ctx.restore();
    },
  };

  const evaluation = (d) => {
    const longest = Math.max(...d.base.concat(d.tuned).flat());
    const bars = (label, values, fill) => ({
      label, data: values.map((v) => v[0]), intervals: values, backgroundColor: fill,
      categoryPercentage: 0.72, barPercentage: 0.9, borderRadius: 2,
    });
    draw('evaluation', {
      type: 'bar',
      plugins: [whiskers],
      data: {
        labels: d.labels,
        datasets: [
          bars('base', d.base, colour('base')),
          bars('tuned', d.tuned, colour('tuned')),
        ],
      },
      options: {
        indexAxis: 'y',
        maintainAspectRatio: false,
        scales: {
          x: axis({
            axis: { min: 0, suggestedMax: Math.min(100, longest + 2) },
            ticks: { callback: (value) => value + '%' },
          }),
          y: axis({ grid: { display: false }, ticks: { color: colour('ink') } }),
        },
        plugins: {
          legend: legend(true),
          tooltip: {
            callbacks: {
              label: ({ dataset, dataIndex }) => {
                const [value, low, high] = dataset.intervals[dataIndex].map(
                  (v) => v === null ? null : v.toFixed(1) + '%');
                return `${dataset.label}: ${value}` + (low ? ` (${low} to ${high})` : '');
              },
            },
          },
        },
      },
    });
  };

  const all = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [];
    Chart.defaults.animation = false;
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    if (data.lengths) lengths(data.lengths);
    data.trainings.forEach(training);
    if (data.evaluation.labels.length > 0) evaluation(data.evaluation);
  };
  all();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', all);
  addEventListener('beforeprint', () => drawn.forEach((chart) => chart.resize()));
})();
