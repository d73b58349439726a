import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config/load.ts'
import { loadProviderDefinitions, providerDefinitions } from '../../src/providers/index.ts'
import { testServer } from '../../src/testing/index.ts'
import { tinyModel } from '../../src/testing/tiny-model.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'src/providers/inference/llama-cpp')
const type = 'inline::llama-cpp'
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
)

describe('the embedded model is a package of its own', () => {
  const contract = ['src/providers/contract.ts', 'src/providers/child-contract.ts']

  test.each(files)('[PRV-10] %s imports nothing of the server but the provider contract', (file) => {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    const specifiers = [...text.matchAll(/(?:from|import\(|new URL\()\s*'(\.[^']*)'/g)].map(([, specifier = '']) =>
      resolve(path, '..', specifier),
    )
    const outside = specifiers.filter((target) => !target.startsWith(`${folder}/`)).map((target) => relative(root, target))
    expect(outside.filter((target) => !contract.includes(target))).toEqual([])
  })

  test('[PRV-10] it is not in the list of definitions: it is loaded as a module', async () => {
    expect(files).toContain('index.ts')
    expect(providerDefinitions.map((definition) => definition.type)).not.toContain(type)
    const { default: loaded } = (await import(join(folder, 'index.ts'))) as { default: unknown }
    expect((await loadProviderDefinitions()).find((definition) => definition.type === type)).toBe(loaded as never)
  })
})

describe('a configuration that names it as `module:`', () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-edge-'))
  beforeAll(() => writeFileSync(join(home, 'tiny.gguf'), tinyModel()))
  afterAll(() => rmSync(home, { recursive: true, force: true }))

  test('[PRV-10] serves its models as any third party’s provider', async () => {
    const source = join(home, 'run.yaml')
    const config = { models_dir: home, auto_pull: false, threads: 1, context_size: 512 }
    const provider = { provider_id: 'mine', provider_type: type, module: folder + '/index.ts', config }
    writeFileSync(source, JSON.stringify({ version: 2, providers: { inference: [provider] } }))
    const loaded = await loadConfig({ source, definitions: [...providerDefinitions], env: { HOME: home, CORRAL_HOME: home } })
    expect(loaded.config.providers.map(({ id }) => id)).toEqual(['mine'])
    await using server = await testServer(loaded.config)
    const response = await server.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'mine/tiny', max_tokens: 3, messages: [{ role: 'user', content: 'Hello?' }] }),
    })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ model: 'mine/tiny', choices: [{ message: { role: 'assistant' } }] })
  })
})
