import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sourceParts, type StringLiteral } from './source-parts.ts'
import { root, sources } from './source.ts'

/** Words that are rejected, with the field's terms for them. */
const rejectedWords: Readonly<Record<string, string>> = {
  told: 'requested, reported or warned',
  tells: 'says, reports or shows',
  sight: 'view',
  grip: 'hold',
  whoever: 'the principal, the caller or the user',
  nobody: 'no caller, no user',
  unwell: 'unhealthy',
  nonsense: 'invalid response',
  answer: 'response, or reply for an upstream’s',
}

/** Other forms of them. */
const forms: Readonly<Record<string, string>> = {
  answers: 'answer',
  answered: 'answer',
  answering: 'answer',
  unanswered: 'answer',
  grips: 'grip',
}

/** How an identifier must not begin, with the field's terms for it. */
const rejectedBeginnings: Readonly<Record<string, string>> = { most: 'max…', longest: '…Timeout, max…', usual: 'default…' }

const identifier = /(?<![\w$'])[#$_]*([A-Za-z][\w$]*)/g
const inWords = /[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g

/** Strings that name a module. */
const isSpecifier = ({ before }: StringLiteral): boolean => /(?:\bfrom|\bimport|\bimport\()\s*$/.test(before)

/** Strings that are the title of a test or of a group of tests. */
const isTitle = ({ before }: StringLiteral): boolean =>
  /\b(?:test|it|describe)(?:\.\w+)*\(\s*$/.test(before) || /\)\(\s*$/.test(before) || /\btest\.if\([^)]*\)\(\s*$/.test(before)

/** The rejected words of one text, each as often as it is there. */
function rejectedIn(text: string): string[] {
  return [...text.matchAll(inWords)]
    .map(([word]) => word.toLowerCase())
    .map((word) => forms[word] ?? word)
    .filter((word) => Object.hasOwn(rejectedWords, word))
}

/** The rejected identifiers, messages and titles of a TypeScript or JavaScript file, as `word in what`. */
export function rejectedInCode(path: string, text: string): string[] {
  const { code, strings } = sourceParts(text)
  const isTest = path.startsWith('test/') || path.endsWith('.test.ts')
  const texts = strings.filter((string) => !isSpecifier(string) && (!isTest || isTitle(string)))
  const names = [...code.matchAll(identifier)].map(([, name = '']) => name)
  const file = path.slice(path.lastIndexOf('/') + 1)
  return [
    ...[...texts.map((string) => string.text), ...names, file].flatMap((one) => rejectedIn(one).map((word) => `${word} in ${one}`)),
    ...[...names, file]
      .filter((name) => Object.hasOwn(rejectedBeginnings, /^[a-z]+(?![a-z])/.exec(name)?.[0] ?? ''))
      .map((name) => `${/^[a-z]+/.exec(name)![0]} in ${name}`),
  ]
}

/** The rejected words in a page's headings. */
export function rejectedInPage(text: string): string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.*)$/gm)].flatMap(([, heading = '']) =>
    rejectedIn(heading).map((word) => `${word} in ${heading}`),
  )
}

/** The words for what was found, for a reader who meets the rule for the first time. */
export function insteadOf(found: string): string {
  const word = found.slice(0, found.indexOf(' '))
  return rejectedWords[word] ?? rejectedBeginnings[word] ?? ''
}

/** Path → what is rejected there, for every file that has any. */
export function allRejected(): ReadonlyMap<string, readonly string[]> {
  const scripts = readdirSync(join(root, 'bin')).map((name) => ({
    path: `bin/${name}`,
    text: readFileSync(join(root, 'bin', name), 'utf8'),
  }))
  const pages = [
    ...readdirSync(root).filter((name) => name.endsWith('.md')),
    ...['docs', 'bench', 'test'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
        .map((name) => `${folder}/${name}`),
    ),
  ]
  const found = [
    ...[...sources('src'), ...sources('test'), ...sources('bench'), ...scripts].map(
      ({ path, text }) => [path, rejectedInCode(path, text)] as const,
    ),
    ...pages.map((path) => [path, rejectedInPage(readFileSync(join(root, path), 'utf8'))] as const),
  ]
  return new Map(found.filter(([path, list]) => list.length > 0 && !isRule(path)))
}

/** The files of the rule itself, which name the words. */
const isRule = (path: string): boolean => /^test\/architecture\/plain-words(?:\.test)?\.ts$/.test(path)
