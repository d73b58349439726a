import { describe, expect, test } from 'bun:test'
import packageJson from '../../package.json' with { type: 'json' }
import { commands } from '../../src/cli/commands.ts'
import { corral, inProcess, start } from './corral.ts'

describe('help', () => {
  test('without words, as help and as --help, lists every command and the exit codes', async () => {
    const texts = await Promise.all([[], ['help'], ['--help'], ['-h']].map((words) => inProcess(words)))
    for (const { code, stdout } of texts) {
      expect(code).toBe(0)
      for (const { name, summary } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} +${RegExp.escape(summary)}$`, 'm'))
      expect(stdout).toContain('Exit codes: 0 success, 1 failure, 2 usage error, 130 or 143 interrupted.')
      expect(stdout).toBe(texts[0]!.stdout)
    }
  })

  test('of each command shows its usage, every option that it takes, and an example that parses', async () => {
    for (const command of commands) {
      const { code, stdout } = await inProcess(['help', ...command.name.split(' ')])
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: corral ${command.name}`)
      for (const option of Object.keys(command.options)) expect(stdout).toContain(`--${option}`)
      expect(command.examples.length).toBeGreaterThan(0)
      for (const [, line] of command.examples) expect(stdout).toContain(line)
      expect((await inProcess([...command.name.split(' '), '--help'])).stdout).toBe(stdout)
    }
  })

  test('no two commands share a spelling', () => {
    const spellings = commands.flatMap(({ name, aliases }) => [name, ...aliases])
    expect(new Set(spellings).size).toBe(spellings.length)
  })

  test('a word that only starts commands shows them: asked for on stdout, else on stderr with exit code 2', async () => {
    const asked = await inProcess(['config', '--help'])
    expect(asked).toMatchObject({ code: 0, stderr: '' })
    expect(asked.stdout).toContain('config validate')
    const forgotten = await inProcess(['config'])
    expect(forgotten).toMatchObject({ code: 2, stdout: '' })
    expect(forgotten.stderr).toContain('config validate')
    expect((await inProcess(['help', 'stack'])).stdout).toContain('stack list-providers')
  })
})

describe('the command line is wrong: exit code 2 and what was probably meant', () => {
  const cases: [line: string, error: string, remedy: string][] = [
    ['rnu', 'error: Unknown command: corral rnu.', 'Did you mean `corral run`?'],
    ['list provider', 'error: Unknown command: corral list provider.', 'Did you mean `corral list providers`?'],
    ['stack biuld', 'error: Unknown command: corral stack biuld.', 'Did you mean `corral stack build`?'],
    ['help rnu', 'error: Unknown command: corral rnu.', 'Did you mean `corral run`?'],
    ['run --prot 1', 'error: corral run: unknown option --prot.', 'Did you mean --port?'],
    ['list providers infrence', "error: Unknown API 'infrence'.", "Did you mean 'inference'?"],
    [
      'build',
      'error: corral build requires --providers or --distro.',
      'E.g. --providers "inference=remote::groq". `corral list providers` lists the types.',
    ],
    ['health --url invalid', "error: Invalid URL 'invalid': expected http:// or https://.", 'E.g. --url http://127.0.0.1:8321.'],
    ['run a.yaml --config b.yaml', "error: Two configurations given: 'a.yaml' and --config 'b.yaml'.", 'Remove one of them.'],
  ]
  for (const [line, error, remedy] of cases) {
    test(`corral ${line}`, async () => {
      expect(await inProcess(line.split(' '))).toEqual({ code: 2, stdout: '', stderr: `${error}\n${remedy}\n` })
    })
  }
})

describe('as a process', () => {
  test('the version is the package’s', async () => {
    expect(await corral(['--version'])).toEqual({ code: 0, stdout: `corral ${packageJson.version}\n`, stderr: '' })
    expect(JSON.parse((await corral(['--version', '--json'])).stdout)).toEqual({ version: packageJson.version })
  })

  test('the exit code is the command’s: 0 done, 1 failed, 2 wrong command line', async () => {
    expect((await corral(['list', 'apis'])).code).toBe(0)
    expect((await corral(['run', 'no-such-file.yaml'])).code).toBe(1)
    expect((await corral(['no-such-command'])).code).toBe(2)
  })

  test('colour is for terminals, unless it is forced', async () => {
    const escape = '\u001B['
    expect((await corral(['help'])).stdout).not.toContain(escape)
    expect((await corral(['help'], { env: { FORCE_COLOR: '1' } })).stdout).toContain(escape)
    expect((await corral(['nope'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stderr).toContain(escape)
  })

  test('a reader that leaves early is no failure and says nothing', async () => {
    const child = start(['config', 'schema'])
    let stderr = ''
    child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0)
    expect(stderr).toBe('')
  })
})
