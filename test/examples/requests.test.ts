import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chatReply, chatStream, jsonReply, mockUpstream, modelsReply, type MockUpstream } from '../../src/testing/index.ts'
import { corral } from '../cli/corral.ts'
import { CleanFolder, runCommand } from '../whole/clean-folder.ts'
import { startProgram, type Program } from '../whole/program.ts'
import { exemption, fences, root, type Fence } from './fences.ts'

const address = /http:\/\/127\.0\.0\.1:8321|localhost:8321/g
const isShell = ({ language, text }: Fence) => language === 'sh' && /^curl /m.test(text)
const ofPage = (page: string, language: string) => fences.filter((fence) => fence.page === page && fence.language === language)

let upstream: MockUpstream
let open: Program
let governed: Program
let adminKey = ''

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ path, json }) => {
    if (path.endsWith('/models')) return modelsReply(['llama-3.3-70b-versatile', 'default', 'bge-reranker-v2-m3'])
    if (path.endsWith('/rerank')) return jsonReply({ results: [{ index: 1, relevance_score: 0.98 }] })
    return json?.stream ? chatStream() : chatReply('Hello.')
  })
  const provider = (id: string, type: string) => ({
    provider_id: id,
    provider_type: `remote::${type}`,
    config: { base_url: `${upstream.url}/v1`, api_key: 'key-of-the-operator' },
  })
  const providers = [provider('groq', 'groq'), provider('llama-cpp', 'openai-compatible'), provider('vllm', 'vllm')]
  open = await startProgram({ providers })
  const rules = [
    { permit: { actions: ['create', 'read', 'update', 'delete'] }, when: 'user with admin in roles' },
    { permit: { actions: ['create'], resource: 'principal::search' }, when: 'user with admin in roles' },
  ]
  const auth = { provider_config: { type: 'api_key' }, access_policy: rules }
  const quota = { limits: [{ name: 'pace', per: 'user', requests: 1000, period: 'minute' }] }
  governed = await startProgram({ providers, server: { auth, quota } })
  const words = ['keys', 'create', '--name', 'admin', '--as', 'ada', '--attribute', 'roles=admin']
  const created = await corral([...words, '--config', join(governed.folder, 'run.yaml')], { env: { CORRAL_HOME: governed.folder } })
  adminKey = created.stdout.trim()
}, 60_000)
afterAll(async () => {
  for (const part of [open, governed, upstream]) await part[Symbol.asyncDispose]()
})

describe('examples that send requests', () => {
  test.each(fences.filter(isShell).filter((fence) => !exemption(fence)))(
    '[DOC-5] $place succeeds',
    async ({ text }) => {
      const { url } = text.includes('$ADMIN_KEY') ? governed : open
      const script = `set -e\ncurl() { command curl -sS --fail-with-body "$@"; echo; }\n${text.replaceAll(address, url)}`
      const { code, output } = await runCommand('bash', ['-c', script], { env: { ...process.env, ADMIN_KEY: adminKey, no_proxy: '*' } })
      expect([code, output]).toEqual([0, expect.stringContaining('{')])
      for (const line of output.trim().split(/\n+/)) expect(JSON.parse(line)).not.toHaveProperty('error')
    },
    30_000,
  )

  test('[DOC-5] the TypeScript of the README prints the stream of the model', async () => {
    const [snippet] = ofPage('README.md', 'ts')
    const result = await runTypeScript(snippet?.text.replaceAll(address, open.url) ?? '', {})
    expect(result).toEqual({ code: 0, output: 'Hello there.' })
  }, 30_000)

  test('[DOC-5] the TypeScript of docs/library.md builds the server and sends a request to it', async () => {
    const text = ofPage('docs/library.md', 'ts')
      .map((fence) => fence.text)
      .join('\n')
    const result = await runTypeScript(text, { 'run.yaml': readFileSync(join(open.folder, 'run.yaml'), 'utf8') })
    expect(result).toMatchObject({ code: 0, output: expect.stringContaining('chat.completion') })
  }, 30_000)

  const hasPythonClient = Bun.spawnSync(['python3', '-c', 'import openai'], { stderr: 'ignore' }).success
  test.skipIf(!hasPythonClient)(
    '[DOC-5] the Python of the README prints the response of the model; it needs Python’s openai package',
    async () => {
      const [snippet] = ofPage('README.md', 'python')
      const result = await runCommand('python3', ['-c', snippet?.text.replaceAll(address, open.url) ?? ''], {})
      expect(result).toEqual({ code: 0, output: 'Hello.\n' })
    },
    30_000,
  )

  test('every other example in TypeScript or with curl says why it is not run', () => {
    // Those of the pages for contributors are parts of files of the source tree, which its own tests cover.
    const covered = /^(?:README|docs\/library|docs\/adding-[\w-]+|docs\/jobs)\.md$/
    const left = fences.filter((fence) => fence.language === 'ts' && !covered.test(fence.page) && exemption(fence) === undefined)
    expect(left.map(({ place }) => place)).toEqual([])
    expect(fences.filter(isShell).length).toBeGreaterThan(4)
  })
})

/** Runs a program in a folder from which `corral` and `openai` can be imported, with further files. */
async function runTypeScript(text: string, files: Readonly<Record<string, string>>) {
  using folder = new CleanFolder()
  const modules = join(folder.path, 'node_modules')
  mkdirSync(modules)
  symlinkSync(root, join(modules, 'corral'))
  symlinkSync(join(root, 'node_modules/openai'), join(modules, 'openai'))
  for (const [name, content] of Object.entries({ ...files, 'program.ts': text })) writeFileSync(join(folder.path, name), content)
  const env = { PATH: process.env.PATH, CORRAL_HOME: folder.path, CORRAL_LOGGING: 'silent' }
  return await runCommand(process.execPath, ['program.ts'], { cwd: folder.path, env })
}
