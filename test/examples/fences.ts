import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = new URL('../../', import.meta.url).pathname

export interface Fence {
  /** `docs/models.md:31` */
  readonly place: string
  readonly page: string
  readonly language: string
  /** What follows the language: words, or `name="why"`. */
  readonly info: string
  readonly text: string
}

/** The pages whose examples are run: all but the generated ones and the decisions. */
const pages = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith('.md'),
)

/** Every fenced block of every page. */
export const fences: readonly Fence[] = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```([\w-]*) ?(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    place: `${page}:${text.slice(0, match.index).split('\n').length}`,
    page,
    language: match[1] ?? '',
    info: match[2] ?? '',
    text: match[3] ?? '',
  }))
})

/** Why an example is not run, from `no-run="why"` in its info string. */
export function exemption({ info }: Fence): string | undefined {
  return /\bno-run="([^"]+)"/.exec(info)?.[1]
}

/** The commands of a shell block, continued lines joined; in a `console` block the lines that begin with `$ `. */
export function commandLines({ language, text }: Fence): string[] {
  if (language !== 'sh' && language !== 'console') return []
  const joined = text.replaceAll(/\\\n\s*/g, '')
  const lines = joined.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return language === 'sh' ? lines : lines.flatMap((line) => (line.startsWith('$ ') ? [line.slice(2)] : []))
}

/** The `corral …` command lines within a line of shell: after variables, in `$(…)` or a container, before pipes, redirections and comments. */
export function corralCommands(line: string): string[][] {
  const inContainer = /^docker run .* corral (run [^|&;#>]*)|^docker exec .*\/app\/bin\/corral\.js ([^|&;#>]*)/.exec(line)
  if (line.startsWith('docker ')) return inContainer ? [shellWords(inContainer[1] ?? inContainer[2] ?? '')] : []
  return [...line.matchAll(/(?:^|[\s(;])(?:npx )?corral ([^|&;)#>]*)/g)].map((match) => shellWords(match[1] ?? ''))
}

/** Splits at white space; quotes hold words together. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'))
}
