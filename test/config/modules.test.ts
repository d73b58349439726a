import { afterAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { formatIssue } from '../../src/config/report.ts'
import { issuesOf, load } from './loading.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-modules-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What a third party would have as its dependency. */
const zod = JSON.stringify(fileURLToPath(import.meta.resolve('zod')))

const definition = `import { z } from ${zod}
export default {
  api: 'inference',
  type: 'remote::acme',
  description: 'Acme.',
  config: z.strictObject({ base_url: z.string(), api_key: z.string().nullish() }),
  create: (config, deps) => ({ hasOwnKey: Boolean(config.api_key), invoke: {} }),
}
`

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

function install(name: string, source: string, manifest: object = { exports: './index.js' }): void {
  write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', type: 'module', ...manifest }))
  write(`node_modules/${name}/index.js`, source)
}

/** A file in the folder whose provider is of this module. */
function fileWith(module: string, type = 'remote::acme'): string {
  const path = `${module.replaceAll(/\W/g, '_')}.yaml`
  write(
    path,
    `version: 2
providers:
  inference:
    - provider_id: acme
      provider_type: ${type}
      module: "${module}"
      config: { base_url: "https://acme.example/v1", api_key: "\${env.ACME_API_KEY:=}" }
`,
  )
  return join(folder, path)
}

const linesOf = async (source: string, cwd = '/nowhere') =>
  (await issuesOf('', { source, cwd })).map((issue) => formatIssue(issue).replace(`${source}:`, ''))

describe('module:', () => {
  test('an npm package beside the file is loaded, and its config checked by its own schema', async () => {
    install('@acme/corral-provider', definition)
    const { config } = await load('', { source: fileWith('@acme/corral-provider'), env: { ACME_API_KEY: '0042' } })
    const [entry] = config.providers
    expect([entry?.id, entry?.type, entry?.config]).toEqual([
      'acme',
      'remote::acme',
      { base_url: 'https://acme.example/v1', api_key: '0042' },
    ])
    expect(entry?.definition.create(entry.config as never, {} as never)).toEqual({ hasOwnKey: true, invoke: {} })
  })

  test('packages for import alone, in TypeScript, and single files are found too', async () => {
    install('import-only', definition, { exports: { '.': { import: './index.js' } } })
    write('local/provider.ts', definition.replace('(config, deps)', '(config: { api_key?: string }, deps: unknown)'))
    for (const module of ['import-only', './local/provider.ts']) {
      expect((await load('', { source: fileWith(module) })).config.providers.map((one) => one.id)).toEqual(['acme'])
    }
  })

  test('the working directory is the second place', async () => {
    install('in-cwd', definition)
    const elsewhere = mkdtempSync(join(tmpdir(), 'corral-elsewhere-'))
    const source = join(elsewhere, 'config.yaml')
    writeFileSync(source, await Bun.file(fileWith('in-cwd')).text())
    expect((await load('', { source, cwd: folder })).config.providers).toHaveLength(1)
    rmSync(elsewhere, { recursive: true })
  })

  test('what is wrong is said', async () => {
    install('no-default', 'export const provider = {}')
    install('no-create', definition.replace('create:', 'make:'))
    install('no-schema', definition.replace(/z\.strictObject\(.*\)/, '{ parse() {} }'))
    install('that-throws', 'throw new Error("no such luck")')
    const said: [module: string, expected: string][] = [
      ['not-there', 'the package is not installed in'],
      ['./not-there.js', 'the package is not installed in'],
      ['no-default', 'its default export is not a provider definition: it is missing; export default defineProvider({ ... })'],
      ['no-create', "its default export is not a provider definition: 'create' must be a function"],
      ['no-schema', "its default export is not a provider definition: 'config' must be a zod 4 schema"],
      ['that-throws', 'the module fails to load: no such luck'],
    ]
    for (const [module, expected] of said) {
      const lines = await linesOf(fileWith(module))
      expect(lines).toHaveLength(1)
      expect(lines[0]).toStartWith(`6:7 providers.inference[0].module: '${module}': ${expected}`)
    }
    install('of-another-type', definition)
    expect(await linesOf(fileWith('of-another-type', 'remote::other'))).toEqual([
      "6:7 providers.inference[0].module: 'of-another-type' holds the provider remote::acme of inference, not 'remote::other' of inference",
    ])
  })

  test('a schema that throws is an error of its section, without what it was given', async () => {
    install('throwing-schema', definition.replace('z.string().nullish()', 'z.string().refine((key) => { throw new Error(key) })'))
    const source = fileWith('throwing-schema')
    const issues = await issuesOf('', { source, env: { ACME_API_KEY: 'sk-4711-secret' } })
    expect(issues.map(formatIssue)).toEqual([
      `${source}:7:7 providers.inference[0].config: cannot validate this section: its schema failed`,
    ])
  })

  for (const module of ['llama_stack_provider_trustyai', 'acme.providers.inference', 'ramalama-stack==0.3.0', 'acme[extra]']) {
    test(`the Python module ${module} is a warning, and its provider is left out`, async () => {
      const { config, warnings } = await load('', { source: fileWith(module) })
      expect(config.providers).toEqual([])
      expect(warnings.map((one) => one.message)).toContain(
        `'${module}' is a Python module of Llama Stack: it cannot be loaded, and its provider is left out`,
      )
    })
  }
})
