/** What charts have in common: a white sheet, and letters that are embedded. */
export const sheet = {
  animation: false,
  backgroundColor: '#ffffff',
  textStyle: { fontFamily: 'DejaVu Sans, sans-serif' },
};

const line = { show: true, lineStyle: { color: '#444444' } };

export const label = { color: '#222222', fontSize: 12 };

/** An axis, with a name, and lines across the chart. */
export const axis = {
  nameLocation: 'middle',
  nameTextStyle: label,
  axisLabel: label,
  axisLine: { ...line, onZero: false },
  axisTick: line,
  splitLine: { show: true, lineStyle: { color: '#dddddd' } },
} as const;
