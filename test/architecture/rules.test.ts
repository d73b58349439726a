import { describe, expect, test } from 'bun:test'
import { boundedRegexes } from './bounded-regex.ts'
import { growthOf } from './ambiguous-regex.ts'
import { regexLiterals } from './source-parts.ts'
import { rules } from './rules.ts'
import { codeOnly, shipped, sourceFile, sources } from './source.ts'

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

  test('the environment is read by the entry point and config/ alone', () => {
    expect(offenders(/\bprocess\.env\b/, (path) => path === 'src/main.ts' || path.startsWith('src/config/'))).toEqual([])
  })

  test('OpenTelemetry is known to telemetry/ alone, and loaded only where it is wanted', () => {
    const users = shipped().filter(({ imports }) => imports.some(({ target }) => target.startsWith('@opentelemetry/')))
    expect(users.filter(({ path }) => !path.startsWith('src/telemetry/')).map(({ path }) => path)).toEqual([])
    const main = shipped().filter(({ path }) =>
      ['src/telemetry/events.ts', 'src/telemetry/traces/create-tracing.ts', 'src/services.ts'].includes(path),
    )
    expect(main).toHaveLength(3)
    expect(main.flatMap(({ imports }) => imports).filter(({ target }) => target.includes('otlp-spans'))).toEqual([])
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

  test('[ARC-3] only timing.ts makes promises of timers', () => {
    expect(offenders(/setTimeout\(\s*resolve\b|=> setTimeout\(/, (path) => path === 'src/timing.ts')).toEqual([])
  })

  test('no test is switched off', () => {
    const off = [...sources('src'), ...sources('test')].filter(
      ({ path, text }) => path.endsWith('.test.ts') && /\b(?:test|it|describe)\.(?:skip|todo|only)\b/.test(codeOnly(text)),
    )
    expect(off.map(({ path }) => path)).toEqual([])
  })
})

describe.each(rules.map((rule) => [rule.name, rule] as const))('%s', (_, rule) => {
  test('no file breaks it', () => {
    const broken = shipped().flatMap((file) => rule.find(file).map((what) => `${file.path}: ${what} — ${rule.reason}`))
    expect(broken).toEqual([])
  })

  test('planted offenders are found, and what is right is not', () => {
    expect(rule.planted.filter(([path, text]) => rule.find(sourceFile(path, text)).length === 0)).toEqual([])
    expect((rule.innocent ?? []).flatMap(([path, text]) => rule.find(sourceFile(path, text)))).toEqual([])
  })
})

describe('regular expressions', () => {
  test.each([
    [/(a+)+$/, 'exponential'],
    [/(a*)*b/, 'exponential'],
    [/(a|aa)+$/, 'exponential'],
    [/^(\w+\s?)*$/, 'exponential'],
    [/(x+x+)+y/, 'exponential'],
    [/^(?:[a-z]+\.?)+com$/, 'exponential'],
    [/\s+$/, 'polynomial'],
    [/[a-z]+:/, 'polynomial'],
    [/^\s*\S*\s*$/, 'polynomial'],
    [/^a*a*$/, 'polynomial'],
    [/^(a|b)*c$/, 'linear'],
    [/^\s+$/, 'linear'],
    [/^\d+-\d+$/, 'linear'],
    [/\s+/, 'linear'],
    [/"[^"]*"/, 'linear'],
    [/^(?:[a-z]+\.)+com$/, 'linear'],
    [/^a+$|^b+$/, 'linear'],
    [/^(a?){3}b/, 'linear'],
  ] as const)('%p grows %s', (regex, growth) => {
    expect(growthOf(regex)).toBe(growth)
  })

  test('what is listed as bounded is still there', () => {
    const gone = boundedRegexes.filter(({ path, source }) => {
      const file = shipped().find((one) => one.path === path)
      return !file || !regexLiterals(file.text).some((literal) => literal.source === source && growthOf(literal) !== 'linear')
    })
    expect(gone).toEqual([])
  })
})
