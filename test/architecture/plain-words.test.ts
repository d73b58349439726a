import { describe, expect, test } from 'bun:test'
import { typesDeclaredTwice } from './declared-types.ts'
import { departures, readExceptions, shrunk } from './exceptions.ts'
import { allRejected, insteadOf, rejectedInCode, rejectedInPage } from './plain-words.ts'
import { sourceFile } from './source.ts'

const lower = 'run `node bin/bun.js test/architecture/write-exceptions.ts` where a number may be lowered'

const counted = (found: ReadonlyMap<string, readonly string[]>) => new Map([...found].map(([name, list]) => [name, list.length]))

describe('names and messages use terms that a reader can look up', () => {
  test('[ARC-1] no rejected word is in more places than the list of exceptions allows, and none in fewer', () => {
    const found = allRejected()
    const wrong = departures(readExceptions('word-exceptions.txt'), counted(found)).flatMap((what) => [
      what,
      ...(what.includes('lower')
        ? [lower]
        : (found.get(what.slice(0, what.indexOf(':'))) ?? []).map((one) => `  ${one}: say ${insteadOf(one)}`)),
    ])
    expect(wrong).toEqual([])
  })

  test.each([
    ['src/a.ts', 'const told = 1', ['told in told']],
    ['src/a.ts', 'interface CallerSight { toldModel: string }', ['sight in CallerSight', 'told in toldModel']],
    ['src/a.ts', "throw new Error('upstream_nonsense')", ['nonsense in upstream_nonsense']],
    ['src/a.ts', 'fail(`The ${kind} answered ${count} times`)', ['answer in  answered ']],
    ['src/a.ts', 'const mostTokens = this.#longestWait + usual', ['most in mostTokens', 'longest in longestWait', 'usual in usual']],
    ['src/sight.ts', '', ['sight in sight.ts']],
    ['src/most-models.ts', '', ['most in most-models.ts']],
    ['src/a.test.ts', "test('tells the rest', () => {})", ['tells in tells the rest']],
    ['test/a.test.ts', "describe.each(list)('nobody %s', () => {})", ['nobody in nobody %s']],
    ['test/a.test.ts', "test.each([['a']])('is an answer', () => {})", ['answer in is an answer']],
  ])('finds in %s: %s', (path, text, expected) => {
    expect(rejectedInCode(path, text)).toEqual(expected)
  })

  test.each([
    ['src/a.ts', "// who told whom\n/* an answer */\nimport { a } from './answer.ts'\nconst found = /told/.test('insight')"],
    ['src/a.ts', 'const almost = mostly(usually, utmost)'],
    ['test/a.test.ts', "const reply = { content: 'The answer is 42.' }"],
  ])('finds nothing in %s: %s', (path, text) => {
    expect(rejectedInCode(path, text)).toEqual([])
  })

  test('reads the headings of pages, not their text or their examples', () => {
    expect(rejectedInPage('# Nobody\n\ntold\n\n```sh\n# told\n```\n\n## The answer\n')).toEqual([
      'nobody in Nobody',
      'answer in The answer',
    ])
  })
})

describe('a type name is declared once', () => {
  test('[ARC-2] no type name is declared in more files than the list of exceptions allows, and none in fewer', () => {
    const found = typesDeclaredTwice()
    const wrong = departures(readExceptions('type-exceptions.txt'), counted(found)).map((what) =>
      what.includes('lower') ? `${what}; ${lower}` : `${what}: ${found.get(what.slice(0, what.indexOf(':')))?.join(', ')}`,
    )
    expect(wrong).toEqual([])
  })

  test('finds classes, interfaces and type aliases', () => {
    const files = [
      sourceFile('src/a.ts', 'export interface One {}\ntype Two = 1\nexport abstract class Three {}\n// type Four = 1'),
      sourceFile('src/b.ts', 'class One {}\nexport type Two<T> = T\nexport interface Three extends One {}\ntype Four = `type Five = 1`'),
    ]
    expect([...typesDeclaredTwice(files).keys()]).toEqual(['One', 'Two', 'Three'])
  })
})

describe('a list of exceptions', () => {
  const allowed = new Map([
    ['a', 3],
    ['b', 2],
  ])

  test('holds where the numbers are today’s, and asks for lower ones', () => {
    expect(departures(allowed, new Map(allowed))).toEqual([])
    expect(departures(allowed, new Map([['a', 4]]))).toEqual(['a: 4, allowed are 3', 'b: lower the number from 2 to 0'])
  })

  test('is never raised: a new name gets what others lost', () => {
    expect([...shrunk(allowed, new Map([['a', 5]]))]).toEqual([['a', 3]])
    expect([
      ...shrunk(
        allowed,
        new Map([
          ['a', 2],
          ['c', 9],
        ]),
      ),
    ]).toEqual([
      ['a', 2],
      ['c', 3],
    ])
  })
})
