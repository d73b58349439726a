import { describe, expect, test } from 'bun:test'
import { codeOnly, shipped, sources } from './source.ts'

/** The shipped files whose code matches, as `path: what`. */
function offenders(pattern: RegExp, allowed: (path: string) => boolean): string[] {
  return shipped()
    .filter(({ path }) => !allowed(path))
    .flatMap(({ path, text }) => {
      const found = pattern.exec(codeOnly(text))
      return found ? [`${path}: ${found[0]}`] : []
    })
}

const within =
  (...folders: string[]) =>
  (path: string) =>
    folders.some((folder) => path.startsWith(folder))

describe('rules of the house', () => {
  test('only runtime/ names Bun', () => {
    expect(offenders(/\bBun\.|\bfrom 'bun[:']/, within('src/runtime/'))).toEqual([])
    const wrong = shipped().filter(
      ({ path, imports }) => !path.startsWith('src/runtime/') && imports.some(({ target }) => /^bun(:|$)/.test(target)),
    )
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('only http/mount.ts knows the router', () => {
    const wrong = shipped().filter(
      ({ path, imports }) => path !== 'src/http/mount.ts' && imports.some(({ target }) => target.startsWith('hono')),
    )
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('every outgoing request goes through egress/: no fetch, socket or HTTP client anywhere else', () => {
    expect(offenders(/(?:await |return |= |=> |\(|\? |: |globalThis\.)fetch\(/, within('src/egress/'))).toEqual([])
    const wrong = shipped()
      .filter(({ path }) => !path.startsWith('src/egress/'))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ target }) => /^(node:)?(https?|net|tls|http2|dgram|undici)$/.test(target))
          .map(({ target }) => `${path}: ${target}`),
      )
    expect(wrong).toEqual([])
  })

  test('the environment is read by the entry point and config/ alone', () => {
    expect(offenders(/\bprocess\.env\b/, (path) => path === 'src/main.ts' || path.startsWith('src/config/'))).toEqual([])
  })

  test('a file has at most 400 lines', () => {
    const long = [...sources('src'), ...sources('test'), ...sources('bench')].filter(({ lines }) => lines > 400)
    expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([])
  })

  test('files are named for what they hold', () => {
    const vague = sources('src').filter(({ path }) => /\/(utils?|helpers?|common|misc|manager|shared)(\.ts|\/)/.test(path))
    expect(vague.map(({ path }) => path)).toEqual([])
  })

  test('no default exports', () => {
    expect(offenders(/^export default\b/m, () => false)).toEqual([])
  })

  test('no module keeps state that changes', () => {
    expect(offenders(/^(?:export )?let /m, () => false)).toEqual([])
  })

  test('no test is switched off', () => {
    const off = [...sources('src'), ...sources('test')].filter(
      ({ path, text }) => path.endsWith('.test.ts') && /\b(?:test|it|describe)\.(?:skip|todo|only)\b/.test(codeOnly(text)),
    )
    expect(off.map(({ path }) => path)).toEqual([])
  })
})
