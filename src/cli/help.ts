import type { Command, OptionSpec, CommandOutput } from './command.ts'

/** What follows `corral help`. */
export function generalHelp(output: CommandOutput, commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length))
  const lines = commands.map((command) => `  ${output.cyan(command.name.padEnd(width))}  ${command.summary}`)
  return `${output.bold('corral')} - a self-hosted AI gateway: OpenAI-compatible API in front of many LLM providers

${output.bold('Usage:')} corral COMMAND [OPTIONS]

${output.bold('Commands:')}
${lines.join('\n')}

${output.bold('Examples:')}
  ${output.dim('# Serve every provider whose key is in the environment, and an embedded model')}
  corral run
  ${output.dim('# Write a configuration for one provider, then serve it')}
  corral build --providers "inference=remote::groq" --output groq.yaml
  corral run groq.yaml

Run \`corral help COMMAND\` for the options of a command, \`corral --version\` for the version.
Llama Stack's command names (\`corral stack run\`, \`corral stack list-providers\` …) are aliases.
Exit codes: 0 success, 1 failure, 2 usage error, 130 or 143 interrupted.
`
}

/** The help of a word that only starts commands, such as `models`. */
export function groupHelp(
  output: CommandOutput,
  word: string,
  commands: readonly (readonly [spelling: string, command: Command])[],
): string {
  const width = Math.max(...commands.map(([spelling]) => spelling.length))
  const lines = commands.map(([spelling, command]) => `  ${output.cyan(spelling.padEnd(width))}  ${command.summary}`)
  return `${output.bold('Usage:')} corral ${word} COMMAND [OPTIONS]\n\n${lines.join('\n')}\n`
}

export function commandHelp(output: CommandOutput, command: Command): string {
  const parts = [`${output.bold(`corral ${command.name}`)} - ${command.summary}`, `${output.bold('Usage:')} ${usageLine(command)}`]
  if (command.description) parts.push(wrap(command.description, Math.min(output.columns, 100)))
  if (command.arguments.length > 0) {
    parts.push(
      section(
        output,
        'Arguments',
        command.arguments.map((argument) => [argument.name, argument.description]),
      ),
    )
  }
  const { shown, ignored } = optionRows(command)
  parts.push(section(output, 'Options', shown))
  if (ignored.length > 0) parts.push(`Accepted for compatibility, ignored: ${ignored.join(', ')}.`)
  const examples = command.examples.map(([what, line]) => `  ${output.dim(`# ${what}`)}\n  ${line}`)
  parts.push(`${output.bold('Examples:')}\n${examples.join('\n')}`)
  if (command.aliases.length > 0) parts.push(`Aliases: ${command.aliases.map((alias) => `corral ${alias}`).join(', ')}`)
  return `${parts.join('\n\n')}\n`
}

export function usageLine(command: Command): string {
  const words = command.arguments.map((argument) => {
    const name = argument.many ? `${argument.name}...` : argument.name
    return argument.required ? name : `[${name}]`
  })
  return ['corral', command.name, ...words, '[OPTIONS]'].join(' ')
}

/** The options as rows of help, and the names of those that are only taken for compatibility. */
export function optionRows(command: Command): { shown: [option: string, description: string][]; ignored: string[] } {
  const entries = Object.entries(command.options)
  const shown = entries
    .filter(([, spec]) => spec.ignored === undefined)
    .map(([name, spec]): [string, string] => [optionName(name, spec), describe(spec)])
  shown.push(['-h, --help', 'show this help'])
  return { shown, ignored: entries.filter(([, spec]) => spec.ignored !== undefined).map(([name]) => `--${name}`) }
}

function describe(spec: OptionSpec): string {
  const more = [...(spec.choices ? [`one of ${spec.choices.join(', ')}`] : []), ...(spec.multiple ? ['repeatable'] : [])]
  return more.length === 0 ? spec.description : `${spec.description} (${more.join('; ')})`
}

function optionName(name: string, spec: OptionSpec): string {
  const long = spec.type === 'boolean' ? `--${name}` : `--${name} ${spec.value ?? 'VALUE'}`
  return spec.short ? `-${spec.short}, ${long}` : long
}

function section(output: CommandOutput, title: string, rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return `${output.bold(`${title}:`)}\n${rows.map(([name, text]) => `  ${output.cyan(name.padEnd(width))}  ${text}`).join('\n')}`
}

function wrap(text: string, width: number): string {
  return text
    .split('\n\n')
    .map((paragraph) => {
      const lines: string[] = ['']
      for (const word of paragraph.split(/\s+/)) {
        const line = lines.at(-1)!
        if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
        else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
      }
      return lines.join('\n')
    })
    .join('\n\n')
}
