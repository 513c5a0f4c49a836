import { loadConfig } from '@smithy/core/config';

/** Where Flagsmith's own Edge began, and what its code takes by default. */
const FLAGSMITH_REGION = 'eu-west-2';

/**
 * The region that AWS's own settings say: `AWS_REGION`, `AWS_DEFAULT_REGION` (the CLI's and Python's), the profile's in
 * `~/.aws/config`; else that of Flagsmith.
 */
export function findRegion(): Promise<string> {
  return loadConfig<string>({
    environmentVariableSelector: ({ AWS_REGION, AWS_DEFAULT_REGION }) => AWS_REGION || AWS_DEFAULT_REGION,
    configFileSelector: ({ region }) => region,
    default: FLAGSMITH_REGION,
  })();
}
