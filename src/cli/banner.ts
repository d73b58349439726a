import type { Serving } from '../supervisor.ts'
import type { CommandOutput } from './command.ts'
import { sleep } from '../timing.ts'

/** Milliseconds that the banner waits for the first model to be listed, and between two looks. */
const timeout = 2000
const pollInterval = 100

/** For a user who has just started the server at a terminal: what it serves, where to read on, and a request to paste. */
export async function writeBanner(serving: Serving, providers: readonly string[], output: CommandOutput): Promise<void> {
  const [url = ''] = serving.urls
  const model = await firstChatModel(serving)
  output.write(bannerText({ url, providers, model }, output))
}

export function bannerText(
  { url, providers, model }: { url: string; providers: readonly string[]; model: string | undefined },
  { bold, dim }: Pick<CommandOutput, 'bold' | 'dim'>,
): string {
  const ask = model
    ? `curl ${url}/v1/chat/completions -H 'content-type: application/json' \\\n    -d '${JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello!' }] }).replaceAll("'", "'\\''")}'`
    : `curl ${url}/v1/models`
  return [
    `  ${dim('providers')}  ${providers.join(', ') || 'none; see `corral run --help`'}`,
    `  ${dim('models')}     ${url}/v1/models`,
    `  ${dim('API docs')}   ${url}/docs`,
    '',
    `  ${bold(ask)}`,
    '',
    `  ${dim('Press Ctrl+C to stop.')}`,
    '',
    '',
  ].join('\n')
}

/** The first chat model that is listed; undefined when none is in time. */
async function firstChatModel(serving: Serving): Promise<string | undefined> {
  if (!serving.models) return undefined
  for (let waited = 0; waited < timeout; waited += pollInterval) {
    const chat = (await serving.models()).find(({ model_type: type }) => type === 'llm')
    if (chat) return chat.id
    await sleep(pollInterval)
  }
  return undefined
}
