import { describe, expect, test } from 'bun:test'
import { CommandError, defineCommand } from './command.ts'
import { parseInput } from './parse.ts'

const command = defineCommand({
  name: 'try',
  summary: 'a command for these tests',
  arguments: [
    { name: 'WHAT', description: 'what to try', required: true, choices: ['this', 'that'] },
    { name: 'MORE', description: 'whatever else' },
  ],
  options: {
    port: { type: 'integer', value: 'PORT', short: 'p', description: 'a number' },
    name: { type: 'string', value: 'NAME', description: 'a text' },
    tag: { type: 'string', value: 'TAG', multiple: true, description: 'several texts' },
    json: { type: 'boolean', description: 'a flag' },
    'image-type': { type: 'string', description: '', ignored: 'no images are built.' },
  },
  examples: [['Try this', 'corral try this']],
  async run() {},
})

function failure(words: readonly string[]): CommandError {
  try {
    parseInput(command, words)
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
  throw new Error(`'${words.join(' ')}' was taken`)
}

describe('a good command line', () => {
  test('gives arguments and typed options, with absent ones empty', () => {
    const { args, options } = parseInput(command, ['this', '--port', '90', '--tag', 'a', '--tag=b'])
    expect(args).toEqual(['this'])
    expect(options).toEqual({ port: 90, tag: ['a', 'b'], json: false })
  })

  test('may use the short name, an equals sign, and -- before words with dashes', () => {
    expect(parseInput(command, ['-p', '1', '--json', 'that', '--', '-odd-']).options).toMatchObject({ port: 1, json: true })
    expect(parseInput(command, ['that', '--', '-odd-']).args).toEqual(['that', '-odd-'])
    expect(parseInput(command, ['that', '--name=-dash']).options).toMatchObject({ name: '-dash' })
  })

  test('keeps what is not needed apart', () => {
    const { options, ignored } = parseInput(command, ['this', '--image-type', 'venv'])
    expect(ignored).toEqual([['--image-type', 'no images are built.']])
    expect(options).not.toHaveProperty('image-type')
  })

  test('asking for help needs no arguments', () => {
    expect(parseInput(command, ['--help']).help).toBe(true)
    expect(parseInput(command, ['-h']).help).toBe(true)
  })
})

describe('a bad command line is exit code 2, and one line says why', () => {
  const cases: [words: string[], message: string, remedy: string][] = [
    [['this', '--prot', '1'], 'corral try: unknown option --prot.', 'Did you mean --port?'],
    [['this', '--zzzzzz'], 'corral try: unknown option --zzzzzz.', 'See `corral help try`.'],
    [['this', '-x'], 'corral try: unknown option -x.', 'See `corral help try`.'],
    [['this', '--port', 'abc'], "--port: expected an integer, got 'abc'.", 'See `corral help try`.'],
    [['this', '--port', '1e3'], "--port: expected an integer, got '1e3'.", 'See `corral help try`.'],
    [['this', '--port'], '--port requires a value: --port PORT.', 'See `corral help try`.'],
    [['this', '--name', '--json'], '--name requires a value: --name NAME.', 'See `corral help try`.'],
    [['this', '--json=yes'], '--json does not take a value.', 'See `corral help try`.'],
    [['thsi'], "WHAT: expected one of this, that, got 'thsi'.", "Did you mean 'this'?"],
    [[], 'corral try requires WHAT: what to try.', 'See `corral help try`.'],
    [['this', 'and', 'more'], "corral try: unexpected argument 'more'.", 'See `corral help try`.'],
    [['this', '--constructor'], 'corral try: unknown option --constructor.', 'See `corral help try`.'],
    [['this', '--toLocaleString'], 'corral try: unknown option --toLocaleString.', 'See `corral help try`.'],
  ]
  for (const [words, message, remedy] of cases) {
    test(words.join(' ') || '(nothing)', () => {
      const error = failure(words)
      expect(error.message).toBe(message)
      expect(error.remedy).toBe(remedy)
      expect(error.exitCode).toBe(2)
    })
  }
})
