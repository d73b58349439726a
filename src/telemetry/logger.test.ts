import { afterAll, describe, expect, test } from 'bun:test'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { causeOf, createEvents } from './events.ts'
import { createLog, type Log, type LogOptions } from './logger.ts'
import { prettyLine } from './pretty.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-log-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What `write` made the log write, as text. */
async function written(options: LogOptions, write: (log: Log) => void): Promise<string> {
  const path = join(folder, `${crypto.randomUUID()}.log`)
  const fd = openSync(path, 'w')
  const log = createLog({ format: 'json', ...options, fd })
  write(log)
  await log.close?.()
  closeSync(fd)
  return readFileSync(path, 'utf8')
}

async function lines(options: LogOptions, write: (log: Log) => void): Promise<Record<string, unknown>[]> {
  const text = await written(options, write)
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]))
}

/** One line of each level in each of three categories. */
function everyLevel(log: Log): void {
  for (const category of ['server', 'inference', 'other']) {
    const child = log.child({ category })
    child.debug({}, 'debug')
    child.info({}, 'info')
    child.warn({}, 'warn')
    child.error({}, 'error')
  }
}

describe('log', () => {
  test('a line is one JSON object with level, time, fields and message', async () => {
    const [line] = await lines({}, (log) => log.child({ category: 'server' }).info({ route: '/v1/models', status: 200 }, 'request'))
    expect(line).toMatchObject({ level: 'info', category: 'server', route: '/v1/models', status: 200, msg: 'request' })
    expect(new Date(String(line?.time)).getTime()).not.toBeNaN()
  })

  test('order is kept over many lines, and closing waits for the last', async () => {
    const all = await lines({}, (log) => {
      for (let at = 0; at < 5000; at++) log.info({ at }, 'x'.repeat(50))
    })
    expect(all.map(({ at }) => at)).toEqual(Array.from({ length: 5000 }, (_, at) => at))
  })

  test('what callers send cannot begin a line of its own', async () => {
    const text = await written({}, (log) => log.info({ path: '/a\n{"level":"error"}' }, 'a\r\nb'))
    expect(text.trimEnd().split('\n')).toHaveLength(1)
  })

  test('secrets print as ***, circles and bigints do not throw', async () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    const all = await lines({}, (log) => {
      log.info({ key: new Secret('sk-1234') }, 'secret')
      log.info({ circle }, 'circle')
      log.info({ big: 1n }, 'big')
    })
    expect(all.map(({ msg }) => msg)).toEqual(['secret', 'circle', 'big'])
    expect(all[0]?.key).toBe('***')
  })

  test('an error is logged with its stack and causes', async () => {
    const [line] = await lines({}, (log) => log.error({ err: new Error('outer', { cause: new TypeError('inner') }) }, 'failed'))
    expect(line?.err).toMatchObject({ type: 'Error', message: 'outer', cause: { type: 'TypeError', message: 'inner' } })
  })

  test("a category has a level of its own, in Llama Stack's spelling too; `all` is for the others", async () => {
    const all = await lines({ categoryLevels: { all: 'critical', server: 'debug', inference: 'WARNING' } }, everyLevel)
    expect(all.map(({ category, msg }) => `${String(category)}:${String(msg)}`)).toEqual([
      'server:debug',
      'server:info',
      'server:warn',
      'server:error',
      'inference:warn',
      'inference:error',
    ])
  })

  test('people get time, level, message and fields, and no control characters of strangers', () => {
    const json = JSON.stringify({
      level: 'warn',
      time: '2026-11-22T10:11:12.000Z',
      category: 'server',
      route: '/a\u001b[31m',
      msg: 'odd\u001b[2J',
    })
    const line = prettyLine(json, true)
    expect(line).toContain('10:11:12')
    expect(line).toContain('WARN')
    expect(line).toContain('odd\\x1b[2J')
    expect(line).toContain('route="/a\\u001b[31m"')
    expect(line).toContain('\u001b[33mWARN')
    expect(prettyLine(json, false)).toBe('10:11:12 WARN  [server] odd\\x1b[2J  route="/a\\u001b[31m"\n')
    const strange = JSON.stringify({ level: 'info', time: '2026-11-22T10:11:12.000Z', model: 'a\u009b31m\u202eb', msg: 'c\u009bd\u202e' })
    expect(prettyLine(strange, false)).toBe('10:11:12 INFO  c\\x9bd\\u202e  model="a\\x9b31m\\u202eb"\n')
  })
})

const requestFinished = (error: unknown) => (log: Log) =>
  createEvents(log).requestFinished({
    requestId: 'r-1',
    model: 'm',
    path: '/v1/chat/completions',
    request: new Request('http://localhost/v1/chat/completions?key=sk-query'),
    status: 502,
    startedAt: performance.now(),
    error,
  })

describe('access line', () => {
  test('of a failed request names type and cause in one line', async () => {
    const cause = new Error('connect ECONNREFUSED 127.0.0.1:1')
    const [line] = await lines({}, requestFinished(new ApiError('upstream_error', "Provider 'groq' could not be reached.", { cause })))
    expect(line).toMatchObject({
      level: 'warn',
      error_type: 'upstream_error',
      cause: "Provider 'groq' could not be reached: connect ECONNREFUSED 127.0.0.1:1",
    })
    expect(JSON.stringify(line)).not.toContain('sk-query')
  })

  test('of our own failure has the stack', async () => {
    const [line] = await lines({}, requestFinished(new TypeError('undefined is not a function')))
    expect(line).toMatchObject({ level: 'error', error_type: 'server_error', err: { type: 'TypeError' } })
  })

  test('a cause is logged once, to a bounded depth', () => {
    const circle = new Error('round')
    circle.cause = circle
    expect(causeOf(circle)).toBe('round')
    expect(causeOf('text')).toBe('text')
    expect(causeOf({ odd: 1 })).toBe('{"odd":1}')
  })
})
