// Draws the page's figures. Their text has the colour of the page's, light or dark.
(() => {
  const draw = (figure) => {
    const spec = JSON.parse(figure.querySelector('script').textContent);
    const chart = figure.querySelector('.chart');
    chart.hidden = false;
    if (spec.facet) {
      const room = chart.clientWidth - 40, names = spec.spec.encoding.y ? 130 : 50;
      spec.columns = Math.max(1, Math.min(spec.columns, Math.floor((room - names) / 180)));
      if (typeof spec.spec.width === 'number')
        spec.spec.width = Math.max(110, Math.min(250, Math.floor((room - names) / spec.columns) - 30));
    }
    return vegaEmbed(chart, spec, {
      renderer: 'svg',
      ast: false,
      tooltip: {theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'},
      actions: {export: true, source: false, compiled: false, editor: false},
      downloadFileName: figure.id,
    }).then(() => {
      const svg = chart.querySelector('svg');
      svg.setAttribute('role', 'img');
      svg.setAttribute('aria-label', figure.dataset.alt);
      chart.querySelector('summary')?.setAttribute('aria-label', 'Save the figure');
    });
  };
  const all = [...document.querySelectorAll('figure[data-alt]')].map(draw);
  Promise.all(all).then(() => document.documentElement.dataset.drawn = all.length);
  const open = () => document.querySelectorAll('details').forEach((one) => one.open = true);
  addEventListener('beforeprint', open);
})();
