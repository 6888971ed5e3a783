/** Numbers, as the page shows them. */
export const n = (count) => count.toLocaleString('en-US')

export const bytes = (count) => {
  if (count < 1000) return `${count} B`
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB`
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`
}

export const clock = (time) => new Date(time).toLocaleTimeString('en-GB')

export const plural = (count, one, many = `${one}s`) => `${n(count)} ${count === 1 ? one : many}`
