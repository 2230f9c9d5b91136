// SPDX-License-Identifier: Apache-2.0
// What the pages say, in both languages, and how they write numbers and times. The language is that
// of the browser until somebody chooses; the choice is remembered.

const words = {
  // key: [English, Korean]; {0} is the first value
  skip: ["Skip to the event", "이벤트로 건너뛰기"],
  language: ["Language", "언어"],
  logIn: ["Log in", "로그인"],
  logOut: ["Log out", "로그아웃"],
  token: ["Admin token", "관리 토큰"],
  tokenHelp: ["It is in the file admin.token of the data folder.", "데이터 폴더의 admin.token 파일에 있습니다."],
  wrongToken: ["This is not the admin token.", "관리 토큰이 아닙니다."],
  slowDown: ["Too many wrong tokens from this address. Wait a few seconds.", "이 주소에서 틀린 토큰이 너무 많이 왔습니다. 몇 초 기다려 주세요."],
  failed: ["That did not work.", "처리하지 못했습니다."],
  unreachable: ["The server cannot be reached.", "서버에 연결할 수 없습니다."],

  events: ["Events", "이벤트"],
  create: ["New event", "새 이벤트"],
  more: ["and {0} older ones", "그 밖에 이전 이벤트 {0}개"],
  noEvent: ["There is no event yet", "아직 이벤트가 없습니다"],
  noEventHelp: ["Create one; claims can come at once.", "이벤트를 만들면 바로 신청을 받을 수 있습니다."],

  scheduled: ["Scheduled", "예정"],
  active: ["Open", "진행 중"],
  sold_out: ["Sold out", "매진"],
  paused: ["Paused", "일시 중지"],
  ended: ["Ended", "종료"],

  left: ["left of {0}", "/ {0} 남음"],
  taken: ["Issued", "발급"],
  rate: ["Requests a second", "초당 요청"],
  claims: ["Requests in all", "전체 요청"],
  p50: ["Wait of half", "대기 시간 중앙값"],
  p99: ["Wait of 99 %", "99% 대기 시간"],
  noWait: ["none lately", "최근 없음"],
  atMost: ["≤ {0}", "≤ {0}"],
  above: ["> 10 s", "> 10초"],
  ms: ["{0} ms", "{0}ms"],
  from: ["from {0}", "{0}부터"],
  until: ["until {0}", "{0}까지"],
  open: ["without an end", "종료 시각 없음"],

  issuing: ["Issuing over time", "시간에 따른 발급"],
  issuingNote: ["{0} issued in {1}", "{1} 동안 {0}장 발급"],
  requests: ["Requests, last 15 minutes", "최근 15분 요청"],
  requestsNote: ["at most {0} a second", "초당 최대 {0}"],
  ago: ["15 minutes ago", "15분 전"],
  now: ["now", "지금"],
  nothing: ["Nothing yet.", "아직 없습니다."],
  asTable: ["As a table", "표로 보기"],
  time: ["Time", "시각"],
  sum: ["Issued by then", "그때까지 발급"],
  perSecond: ["Most in a second", "초당 최대"],

  outcomes: ["Answers", "응답"],
  outcome: ["Answer", "응답"],
  count: ["Count", "수"],
  issued: ["Issued", "발급됨"],
  already_issued: ["Already issued", "이미 발급됨"],
  told_sold_out: ["Sold out", "매진"],
  not_started: ["Not started", "시작 전"],
  told_ended: ["Ended", "종료 후"],
  told_paused: ["Paused", "중지 중"],
  returned: ["Had returned", "반납한 사람"],
  busy: ["Busy (503)", "처리 불가 (503)"],
  pending: ["Not confirmed yet (202)", "확인 대기 (202)"],

  change: ["Change", "변경"],
  changeHelp: ["Every change is written to the journal with its operator and reason.", "모든 변경은 담당자와 사유와 함께 저널에 남습니다."],
  pause: ["Pause", "일시 중지"],
  resume: ["Resume", "재개"],
  restock: ["Restock", "수량 변경"],
  reschedule: ["Reschedule", "일정 변경"],
  return: ["Return a coupon", "쿠폰 반납"],
  close: ["Close for good", "영구 종료"],
  createHelp: ["Without times it is open at once and without an end.", "시각을 비우면 바로 시작하고 끝나지 않습니다."],
  pauseHelp: ["Nobody gets a coupon of {0} until it is resumed.", "재개할 때까지 {0}의 쿠폰이 발급되지 않습니다."],
  resumeHelp: ["Coupons of {0} are issued again.", "{0}의 쿠폰 발급을 다시 시작합니다."],
  restockHelp: ["The new number of coupons of {0} in all.", "{0}의 전체 쿠폰 수를 새로 정합니다."],
  rescheduleHelp: ["When {0} begins and ends, in your local time. Empty: no bound.", "{0}의 시작과 끝(현지 시각). 비우면 제한이 없습니다."],
  returnHelp: ["The coupon of this user goes to the next person; the user may not claim {0} again.", "이 사용자의 쿠폰이 다음 사람에게 돌아가며, 사용자는 {0}을(를) 다시 신청할 수 없습니다."],
  closeHelp: ["{0} ends now. This cannot be undone. Type its name to confirm.", "{0}을(를) 지금 끝냅니다. 되돌릴 수 없습니다. 확인을 위해 이름을 입력하세요."],
  event_id: ["Name of the event", "이벤트 이름"],
  total_stock: ["Coupons in all", "전체 쿠폰 수"],
  starts_at: ["Begins", "시작"],
  ends_at: ["Ends", "끝"],
  user_id: ["User", "사용자"],
  confirm: ["Name of the event, to confirm", "확인용 이벤트 이름"],
  confirmWrong: ["This is not the name of the event.", "이벤트 이름과 다릅니다."],
  operator: ["Operator", "담당자"],
  reason: ["Reason", "사유"],
  missing: ["{0} is missing.", "{0}을(를) 입력하세요."],
  cancel: ["Cancel", "취소"],
  done: ["Done: {0}", "완료: {0}"],
  later: ["Not confirmed yet: {0}", "아직 확인되지 않음: {0}"],

  health: ["Server", "서버"],
  ok: ["OK", "정상"],
  degraded: ["Needs attention", "확인 필요"],
  down: ["Down", "중단"],
  wait: ["Connecting", "연결 중"],
  lost: ["Connection lost", "연결 끊김"],
  journal: ["Journal", "저널"],
  engine: ["Engine", "엔진"],
  views: ["Views", "뷰"],
  copy: ["Copy", "사본"],
  disk: ["Disk", "디스크"],
  connections: ["Connections", "연결"],
  journalNote: ["{0} ready to write", "쓰기 가능 {0}"],
  engineNote: ["{0} claims and {1} changes waiting", "신청 {0}건, 변경 {1}건 대기"],
  viewsNote: ["{0} records behind", "기록 {0}건 뒤처짐"],
  copyNote: ["{0} records behind", "기록 {0}건 뒤처짐"],
  copyNone: ["not kept", "두지 않음"],
  diskNote: ["{0} free", "남은 공간 {0}"],
  connectionsNote: ["{0} open", "열린 연결 {0}개"],
  slow: ["Slow", "느림"],
  low_space: ["Space is short", "공간 부족"],
  stuck: ["Stuck", "멈춤"],
  behind: ["Behind", "뒤처짐"],
  short: ["Short", "부족"],
  unknown: ["Unknown", "알 수 없음"],
  catching_up: ["Catching up", "따라잡는 중"],
  waiting: ["Waiting", "대기 중"],
  stopped: ["Stopped", "멈춤"],
  none: ["None", "없음"],
  version: ["Version {0}, up for {1}", "버전 {0}, 가동 시간 {1}"],
  spoken: ["{0}: {1} of {2} left, {3} requests a second", "{0}: {2}장 중 {1}장 남음, 초당 요청 {3}"],
  seconds: ["{0} s", "{0}초"],
  minutes: ["{0} min", "{0}분"],
  hours: ["{0} h", "{0}시간"],
  days: ["{0} d", "{0}일"],
};

const languages = ["en", "ko"];
let language = "en";

function chosen() {
  try {
    const stored = localStorage.getItem("language");
    if (languages.includes(stored)) return stored;
  } catch { /* no storage: the browser's own language */ }
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export function translate(key, ...values) {
  const [english, korean] = words[key];
  return (language === "ko" ? korean : english).replace(/\{(\d)\}/g, (_, i) => values[i]);
}

export const knows = (key) => key in words;

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

export const moment = (ms, options = { dateStyle: "medium", timeStyle: "short" }) =>
  new Intl.DateTimeFormat(language, options).format(ms);

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (value >= 1024 && i < units.length - 1) {
    value /= 1024;
    i++;
  }
  return `${number(value, value < 10 ? 1 : 0)} ${units[i]}`;
}

export function duration(seconds) {
  const [key, unit] = seconds < 120 ? ["seconds", 1] : seconds < 7200 ? ["minutes", 60]
    : seconds < 172800 ? ["hours", 3600] : ["days", 86400];
  return translate(key, number(seconds / unit, seconds < 10 ? 2 : 0));
}

function say() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]"))
    element.textContent = translate(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", translate(element.dataset.label));
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
}

/** Puts the words into the page, now and whenever the language changes; `changed` does the rest. */
export function speak(changed) {
  language = chosen();
  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => {
      language = button.dataset.language;
      try {
        localStorage.setItem("language", language);
      } catch { /* then for this page only */ }
      say();
      changed();
    });
  say();
  changed();
}
