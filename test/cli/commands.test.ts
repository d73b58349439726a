import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { corral, inProcess, temporaryFolder } from './corral.ts'

const groq = ['--providers', 'inference=remote::groq']

describe('build', () => {
  test('[RUN-3] writes a runnable, commented file without any secret', async () => {
    using folder = temporaryFolder()
    const env = { GROQ_API_KEY: 'gsk_secret_0123456789' }
    const { code, stdout } = await corral(['build', ...groq], { cwd: folder.path, env })
    expect(code).toBe(0)
    expect(stdout).toContain('corral run corral.yaml')
    const text = readFileSync(join(folder.path, 'corral.yaml'), 'utf8')
    expect(text).toContain('provider_type: remote::groq')
    expect(text).toMatch(/^ *# /m)
    expect(text).not.toContain('gsk_secret')
    const checked = await inProcess(['config', 'validate', 'corral.yaml', '--strict'], { cwd: folder.path, env })
    expect(checked).toMatchObject({ code: 0, stdout: 'valid: corral.yaml, providers: groq\n', stderr: '' })
    const keyless = await inProcess(['config', 'validate', 'corral.yaml', '--strict'], { cwd: folder.path })
    expect(keyless.code).toBe(0)
  })

  test('overwrites nothing without --force', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'mine.yaml')
    writeFileSync(path, 'mine')
    const refused = await inProcess(['build', ...groq, '--output', 'mine.yaml'], { cwd: folder.path })
    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toBe(`error: ${path} already exists.\nAdd --force to overwrite it, or choose another file with --output.\n`)
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect((await inProcess(['build', ...groq, '-o', 'mine.yaml', '--force'], { cwd: folder.path })).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toContain('remote::groq')
  })

  test('with a name, puts it where `corral run NAME` and `corral list distros` find it', async () => {
    using folder = temporaryFolder()
    const here = { cwd: folder.path, env: { HOME: folder.path } }
    expect((await inProcess(['build', ...groq, '--name', 'mine'], here)).stdout).toContain('corral run mine')
    expect((await inProcess(['config', 'validate', 'mine'], here)).code).toBe(0)
    const listed = JSON.parse((await inProcess(['list', 'distros', '--json'], here)).stdout) as { name: string; kind: string }[]
    expect(listed.map(({ name, kind }) => `${name} ${kind}`)).toEqual(['starter built in', 'mine own'])
    expect((await inProcess(['build', ...groq, '--name', '../out'], here)).code).toBe(2)
  })

  test('writes a distribution out as this environment has it, also to the terminal', async () => {
    const { code, stdout } = await inProcess(['build', '--distro', 'starter', '--output', '-'], { env: { GROQ_API_KEY: 'gsk_secret' } })
    expect(code).toBe(0)
    expect(stdout).toContain('remote::groq')
    expect(stdout).not.toContain('gsk_secret')
  })

  test('an unknown provider is one line with the nearest', async () => {
    const { code, stderr } = await inProcess(['build', '--providers', 'inference=remote::grok'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: .*remote::grok.* Did you mean 'remote::groq'\?\n$/)
  })
})

describe('Llama Stack’s spellings', () => {
  test('[RUN-4] build, list-apis and list-providers do what build and list do', async () => {
    using folder = temporaryFolder()
    const words = ['stack', 'build', ...groq, '--image-type', 'venv', '--image-name', 'mine', '--output', 'run.yaml']
    const built = await corral(words, { cwd: folder.path })
    expect(built.code).toBe(0)
    expect(built.stderr).toMatch(/^note: --image-type is ignored: .*\n$/)
    expect(existsSync(join(folder.path, 'run.yaml'))).toBe(true)
    expect(await inProcess(['stack', 'list-apis'])).toEqual(await inProcess(['list', 'apis']))
    expect(await inProcess(['stack', 'list-providers', 'inference'])).toEqual(await inProcess(['list', 'providers', 'inference']))
    expect(await inProcess(['stack', 'build', '--list-distros'])).toEqual(await inProcess(['stack', 'list']))
  })

  test('what would install something prints that nothing needs to be installed', async () => {
    using folder = temporaryFolder()
    const { code, stdout, stderr } = await inProcess(['stack', 'build', ...groq, '--print-deps-only'], { cwd: folder.path })
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toContain('Nothing to install')
    expect(existsSync(join(folder.path, 'corral.yaml'))).toBe(false)
  })
})

describe('list', () => {
  test('providers for machines: every type with what enables it', async () => {
    const { stdout, stderr } = await inProcess(['list', 'providers', '--json', '--all'])
    const rows = JSON.parse(stdout) as { type: string; served: boolean; enabled_by: string[] }[]
    expect(rows.find(({ type }) => type === 'remote::groq')).toMatchObject({
      served: true,
      enabled_by: expect.arrayContaining(['GROQ_API_KEY']),
    })
    expect(rows.find(({ type }) => type === 'remote::vertexai')).toMatchObject({ served: false })
    expect(stderr).toBe('')
  })

  test('apis as JSON says which are served', async () => {
    const rows = JSON.parse((await inProcess(['list', 'apis', '--json'])).stdout) as { api: string; served: boolean }[]
    expect(rows.find(({ api }) => api === 'inference')?.served).toBe(true)
    expect(rows.find(({ api }) => api === 'eval')?.served).toBe(false)
  })
})

const broken = `version: 2
distro_name: broken
providers:
  inference:
    - provider_id: one
      provider_type: remote::grok
      config: {}
    - provider_id: two
      provider_type: remote::groq
      config:
        bse_url: http://127.0.0.1
server:
  prot: 8321
`

describe('config', () => {
  test('validate reports all errors at once, each with its line', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'broken.yaml'), broken)
    const { code, stdout, stderr } = await corral(['config', 'validate', 'broken.yaml'], { cwd: folder.path })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    const lines = stderr.trimEnd().split('\n')
    expect(lines[0]).toBe('error: 3 errors in the configuration:')
    expect(lines[1]).toMatch(/^ {2}broken\.yaml:6:\d+ .*Did you mean 'remote::groq'\?$/)
    expect(lines[2]).toMatch(/^ {2}broken\.yaml:11:\d+ .*Did you mean 'base_url'\?$/)
    expect(lines[3]).toMatch(/^ {2}broken\.yaml:13:\d+ server\.prot: .*Did you mean 'port'\?$/)
  })

  test('validate for machines holds the same, and nothing else is on stdout', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'broken.yaml'), broken)
    const { code, stdout, stderr } = await inProcess(['config', 'validate', 'broken.yaml', '--json'], { cwd: folder.path })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    const { valid, errors } = JSON.parse(stdout) as { valid: boolean; errors: { line: number; nearest: string }[] }
    expect(valid).toBe(false)
    expect(errors.map(({ line, nearest }) => [line, nearest])).toEqual([
      [6, 'remote::groq'],
      [11, 'base_url'],
      [13, 'port'],
    ])
  })

  test('[REL-9] warnings are shown beside errors: as text, as JSON and by the doctor', async () => {
    using folder = temporaryFolder()
    const here = { cwd: folder.path }
    writeFileSync(join(folder.path, 'both.yaml'), `${broken}\nfrom_the_future: 1`)
    const warning = 'from_the_future: unknown key, ignored.'
    const text = await inProcess(['config', 'validate', 'both.yaml'], here)
    expect([text.code, text.stderr]).toEqual([1, expect.stringContaining('3 errors in the configuration') as string])
    expect(text.stderr).toContain(`warning: both.yaml:15:1 ${warning}`)
    const { stdout } = await inProcess(['config', 'validate', 'both.yaml', '--json'], here)
    const { warnings } = JSON.parse(stdout) as { warnings: { kind: string; line: number }[] }
    expect(warnings).toMatchObject([{ kind: 'unknown_key', line: 15 }])
    const doctor = await inProcess(['doctor', 'both.yaml'], here)
    expect(doctor.stdout + doctor.stderr).toContain(warning)
  })

  test('show prints what is in effect, without a secret, as YAML and as JSON', async () => {
    using folder = temporaryFolder()
    const here = { cwd: folder.path, env: { GROQ_API_KEY: 'gsk_secret_0123456789', CORRAL_PORT: '9321' } }
    await inProcess(['build', ...groq], here)
    const yaml = await inProcess(['config', 'show', 'corral.yaml'], here)
    expect(yaml.stdout).toContain('port: 9321')
    expect(yaml.stdout).not.toContain('gsk_secret')
    const json = await inProcess(['config', 'show', 'corral.yaml', '--json'], here)
    expect(JSON.parse(json.stdout)).toMatchObject({ server: { port: 9321 } })
    expect(json.stdout).not.toContain('gsk_secret')
  })

  test('schema is a JSON Schema that knows the providers', async () => {
    const { code, stdout } = await inProcess(['config', 'schema'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', properties: { version: {}, providers: {}, server: {} } })
    expect(stdout).toContain('remote::groq')
  })
})
