import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatReply, mockUpstream, modelsReply, type MockUpstream } from '../../src/testing/index.ts'
import { corral } from '../cli/corral.ts'
import { CleanFolder, startServer } from '../whole/clean-folder.ts'
import { commandLines, corralCommands, fences, root } from './fences.ts'

const blocks = fences.filter(({ page }) => page === 'docs/tutorial-two-teams.md')
const text = blocks.map((block) => block.text).join('\n')
const lines = blocks.flatMap(commandLines)
const llama = 'groq/llama-3.3-70b-versatile'
const larger = 'groq/openai/gpt-oss-120b'

const folder = new CleanFolder()
let upstream: MockUpstream
let server: Awaited<ReturnType<typeof startServer>>
const keys: Record<string, string> = {}

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ path }) => {
    if (path.endsWith('/models')) return modelsReply(['llama-3.3-70b-versatile', 'openai/gpt-oss-120b'])
    return chatReply('Hi.', { usage: { prompt_tokens: 11, completion_tokens: 900, total_tokens: 911 } })
  })
  const configuration = blocks.find(({ language }) => language === 'yaml')?.text ?? ''
  const mocked = configuration.replace('{ api_key: "${env.GROQ_API_KEY}" }', `{ api_key: k, base_url: "${upstream.url}/v1" }`)
  writeFileSync(join(folder.path, 'teams.yaml'), mocked)
  for (const line of lines.filter((one) => one.includes('keys create'))) {
    const [words = []] = corralCommands(line)
    keys[line.slice(0, line.indexOf('='))] = (await run(words)).trim()
  }
  const options = { cwd: folder.path, env: { ...process.env, CORRAL_HOME: folder.path } }
  server = await startServer('node', [join(root, 'bin/corral.js'), 'run', 'teams.yaml', '--port', '0'], options)
  await ready()
}, 60_000)
afterAll(async () => {
  await server.stop()
  await upstream[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

async function run(words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await corral(words, { cwd: folder.path, env: { CORRAL_HOME: folder.path } })
  if (code !== 0 && words[0] !== 'policy') throw new Error(stderr)
  return stdout
}

async function ready(): Promise<void> {
  while ((await fetch(`${server.url}/readyz`)).status !== 200) await new Promise((resolve) => setTimeout(resolve, 50))
}

function get(path: string, key?: string): Promise<Response> {
  return fetch(server.url + path, { headers: key ? { authorization: `Bearer ${key}` } : {} })
}

function ask(key: string | undefined, model: string): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: 1000, messages: [{ role: 'user', content: 'Hi' }] }),
  })
}

/** Sends the request until it is refused: a window of the limit may end in between. */
async function untilRefused(send: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const response = await send()
    if (response.status !== 200) return response
  }
}

/** Times and dates differ between runs. */
const timeless = (body: string) => body.replaceAll(/\d+ s\b|\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME')

async function expectDocumented(response: Response, status: number): Promise<void> {
  const body = await response.text()
  expect([response.status, timeless(text).includes(timeless(body)) || body]).toEqual([status, true])
}

describe('docs/tutorial-two-teams.md', () => {
  test('[DOC-6] creates a key for each team', () => {
    expect(Object.keys(keys)).toEqual(['SUPPORT', 'RESEARCH'])
    expect(Object.values(keys).every((key) => key.startsWith('crl_'))).toBe(true)
  })

  test('[DOC-6] authorization: 404, 403 and 401 as shown', async () => {
    await expectDocumented(await ask(keys.SUPPORT, larger), 404)
    await expectDocumented(await get('/v1alpha/admin/keys', keys.SUPPORT), 403)
    await expectDocumented(await get('/v1/models'), 401)
  })

  test('[DOC-6] rate limit and budget: 429 as shown, the first with Retry-After, the second not to be retried', async () => {
    const paced = await untilRefused(() => get('/v1/models', keys.SUPPORT))
    expect(Number(paced.headers.get('retry-after'))).toBeGreaterThan(0)
    await expectDocumented(paced, 429)
    const spent = await untilRefused(() => ask(keys.RESEARCH, llama))
    expect(spent.headers.get('x-should-retry')).toBe('false')
    await expectDocumented(spent, 429)
  })

  test('[DOC-6] usage, audit log and policy as shown', async () => {
    const [usage = [], audit = [], explain = []] = ['usage', 'audit', 'policy'].map(
      (name) => corralCommands(lines.find((line) => line.startsWith(`corral ${name}`)) ?? '')[0],
    )
    // The ledger is written behind the requests.
    let table = await run(usage)
    while (!table.includes('research')) table = await run(usage)
    expect(table).toMatch(/^TEAM .*\nresearch +1 +11 +0 +900 /)
    const denials = await run(audit)
    expect(denials).toContain("limit 'team budget' ($0.0015 a month for each team)")
    expect(denials).toContain('rule 3 forbids it (research only)')
    expect(text).toContain((await run(explain)).trim())
  })
})
