import { which } from 'bun'
import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { promtool as given } from '../../../src/testing/engines.ts'
import { chatReply, chatStream, embeddingsReply, errorReply, type Script } from '../../../src/testing/index.ts'
import { definitionsOf } from '../../../src/telemetry/metrics/definitions.ts'
import { toText } from '../../../src/telemetry/metrics/prometheus.ts'
import { everything } from './everything.ts'
import { valuesOf } from './parse-text.ts'
import { hello, measured, readUntil } from './stage.ts'

/** `npm run test:services` brings it; Debian's package `prometheus` has it. */
const promtool = given ?? which('promtool')

function findingsOf(text: string): string {
  const { status, stdout, stderr } = spawnSync(promtool ?? '', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  return `${status} ${stdout}${stderr}`
}

const responses: readonly Script[] = [
  chatReply('Hi.'),
  chatStream(),
  errorReply(503),
  errorReply(429, { error: { message: 'a "quoted" \\ text\n' } }),
  embeddingsReply(),
]

describe.skipIf(promtool === null)('Prometheus’ own checker', () => {
  test('[MET-1] finds nothing in what a server says that has served', async () => {
    const left = [...responses]
    await using it = await measured(() => left.shift() ?? chatReply())
    for (const fields of [{}, { stream: true }, {}, {}]) {
      await (await it.post('/v1/chat/completions', { model: 'up/small', ...hello, ...fields })).text()
    }
    await (await it.post('/v1/embeddings', { model: 'up/small', input: 'a' })).text()
    await (await it.post('/v1/chat/completions', { model: 'no "such" \\\n model', ...hello })).text()
    await readUntil(it, (now) => {
      const counts = valuesOf(now, 'gen_ai_server_request_duration_seconds_count')
      return counts.reduce((sum, count) => sum + count, 0) === 6
    })
    expect(findingsOf(await (await it.server.fetch('/metrics')).text())).toBe('0 ')
  })

  test('[MET-1] finds nothing in any metric of both conventions', () => {
    for (const conventions of ['v1_41', 'latest'] as const) {
      const definitions = definitionsOf(conventions)
      expect(findingsOf(toText(everything(definitions), definitions, { format: 'prometheus', info: { a: 'b "c"' } }))).toBe('0 ')
    }
  })

  test('and finds what is wrong', () => {
    expect(findingsOf('# TYPE a_total counter\na_total 1\na_total 2\n')).not.toStartWith('0 ')
  })
})
