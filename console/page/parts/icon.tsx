/** Line drawings on a grid of 24; they repeat the meaning of the text next to them. */
const PATHS = {
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5',
  back: 'm14 6-6 6 6 6',
  next: 'm10 6 6 6-6 6',
  plus: 'M12 5v14M5 12h14',
  close: 'm6 6 12 12M18 6 6 18',
  done: 'm5 12.5 4.5 4.5L19 7.5',
  alert: 'M12 4 2.8 19.5h18.4L12 4Zm0 6v4m0 3v.1',
  up: 'm7 14 5-5 5 5',
  down: 'm7 10 5 5 5-5',
  pause: 'M9 6v12M15 6v12',
  play: 'M8 5.5v13l11-6.5-11-6.5Z',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-13.5V12l3 2',
  flag: 'M6 21V4m0 1h11l-2.5 4L17 13H6',
  compare: 'M8 5v14m0 0-4-4m4 4 4-4M16 19V5m0 0-4 4m4-4 4 4',
  repair: 'm4 20 8-8m8-5-3.500 3.500-3-.500-.500-3L17.500 3.500a5 5 0 0 0-6.500 6.500 5 5 0 0 0 9-3Z',
  retry: 'M4.500 12a7.500 7.500 0 0 1 13-5l2 2m0-5v5h-5M19.500 12a7.500 7.500 0 0 1-13 5l-2-2m0 5v-5h5',
  download: 'M12 4v11m0 0-4.500-4.500M12 15l4.500-4.500M5 20h14',
  arrow: 'M4 12h15m0 0-6-6m6 6-6 6',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
