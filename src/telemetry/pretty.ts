/** Colours of a terminal; other parts have the default colour. */
const colours: Readonly<Record<string, string>> = { debug: '\u001b[2m', warn: '\u001b[33m', error: '\u001b[31m', fatal: '\u001b[31m' }
const dim = '\u001b[2m'
const plain = '\u001b[0m'

/** One JSON log line as people read it: `12:03:04 WARN  message  key=value …`, and the stack of an error below. */
export function prettyLine(line: string, colour: boolean): string {
  const { time, level, msg, err, category, ...fields } = JSON.parse(line) as Record<string, unknown>
  const name = String(level)
  const rest = Object.entries(fields)
    .map(([key, value]) => `${key}=${shown(value)}`)
    .join(' ')
  const style = (code: string | undefined, text: string): string => (colour && code ? `${code}${text}${plain}` : text)
  const label = category === undefined ? '' : `${style(dim, `[${shown(category)}]`)} `
  const text = printable(typeof msg === 'string' ? msg : '')
  const head = `${style(dim, String(time).slice(11, 19))} ${style(colours[name], name.toUpperCase().padEnd(5))} ${label}${text}`
  return `${head}${rest && `  ${style(dim, rest)}`}${stackOf(err)}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value
  // JSON escapes characters below U+0020, but not other control and bidirectional characters.
  return JSON.stringify(value).replaceAll(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
}

/** Messages may contain what callers send: no character may control the terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is about
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)
}

function escaped(char: string): string {
  const code = char.codePointAt(0) ?? 0
  const digits = code.toString(16)
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : code < 0x1_0000 ? `\\u${digits.padStart(4, '0')}` : `\\u{${digits}}`
}

function stackOf(err: unknown): string {
  if (typeof err !== 'object' || err === null || !('stack' in err)) return ''
  return `\n${printable(String(err.stack))}`
}
