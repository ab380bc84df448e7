/** The package says nothing of the types of this file, which are those of its parts. */
declare module 'echarts/dist/echarts.esm.min.mjs' {
  export { init } from 'echarts/core';
}
