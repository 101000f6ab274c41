const all = selector => [...document.querySelectorAll(selector)];
const sound = document.querySelector('audio'), head = document.getElementById('head');
const scroll = document.querySelector('.scroll'), second = Number(scroll.dataset.second);
function light(element, on) {
  for (const note of [element.dataset.note, element.dataset.other])
    for (const each of all('[data-note="' + note + '"]')) each.classList.toggle('lit', on);
}
function show(element) {
  const note = element.dataset.note;
  sound.currentTime = Number(scroll.dataset.cell) * Number(note.split('-')[1]);
  const inRoll = document.querySelector('.time [data-note="' + note + '"]');
  if (inRoll) {
    const x = Number(inRoll.getAttribute('x'));
    scroll.scrollTo({left: x - scroll.clientWidth / 2, behavior: 'smooth'});
  }
  const here = element.tagName === 'LI' ? '.score ' : 'li';
  const there = document.querySelector(here + '[data-note="' + note + '"]');
  if (there) there.scrollIntoView({block: 'nearest', behavior: 'smooth'});
  sound.play().catch(() => {});
}
for (const element of all('[data-note]')) {
  element.addEventListener('mouseenter', () => light(element, true));
  element.addEventListener('mouseleave', () => light(element, false));
  element.addEventListener('focus', () => light(element, true));
  element.addEventListener('blur', () => light(element, false));
  element.addEventListener('click', () => show(element));
  element.addEventListener('keydown', event => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); show(element); }
  });
}
function follow() {
  const x = sound.currentTime * second;
  head.style.display = 'block';
  head.style.left = x + 'px';
  if (!sound.paused) {
    const seen = x - scroll.scrollLeft;
    if (seen < 0 || seen > scroll.clientWidth - 200) scroll.scrollLeft = x - 60;
    requestAnimationFrame(follow);
  }
}
sound.addEventListener('play', follow);
sound.addEventListener('seeked', follow);
