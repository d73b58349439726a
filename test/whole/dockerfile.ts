import { readFileSync } from 'node:fs'

interface Instruction {
  /** In capitals. */
  readonly name: string
  readonly text: string
}

export interface Stage {
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

/** The instructions of a Dockerfile, without comments, continued lines joined. */
export function readInstructions(path: string): Instruction[] {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
  const joined = lines.join('\n').replaceAll(/\\\n\s*/g, '')
  return joined.split('\n').map((line) => {
    const [, name = '', text = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    return { name: name.toUpperCase(), text }
  })
}

/** The same by stage; what comes before the first FROM belongs to none. */
export function readStages(path: string): Stage[] {
  const stages: { name: string | undefined; instructions: Instruction[] }[] = []
  for (const instruction of readInstructions(path)) {
    if (instruction.name === 'FROM') stages.push({ name: /\sAS\s+(\S+)/i.exec(instruction.text)?.[1], instructions: [] })
    else stages.at(-1)?.instructions.push(instruction)
  }
  return stages
}
