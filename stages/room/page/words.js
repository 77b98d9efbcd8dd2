/** The listener's words, in the language of the captions that were chosen; English for a language that is not here. */

const NAMES = [
  "captions", "language", "listen", "original", "smaller", "larger", "full", "volume", "settings", "newest",
  "live", "waiting", "paused", "ended", "reconnecting", "restarting", "crowded", "refused", "gone",
  "welcome", "preparing", "missed", "skipped", "experimental", "mute",
  "pausing", "soon", "late", "asleep",
];

const TABLE = {
  en: [
    "Captions", "Caption language", "Listen", "Original", "Smaller text", "Larger text", "Full screen", "Volume", "Text and sound", "Newest",
    "Live", "Waiting", "Paused", "Ended", "Reconnecting…", "The server is restarting. This page comes back by itself.",
    "The room is full. We keep trying.", "The room refused this page. Reload it, or ask the hosts.", "This room is closed.",
    "The words will appear here as soon as somebody speaks.", "Preparing the translation…", "Some lines could not be kept",
    "Speech skipped", "experimental", "There is no voice for this language yet",
    "The speaker has paused. It goes on here by itself.", "The voice begins with the next sentence.", "Voice # s behind", "Tap to hear the voice again",
  ],
  pt: [
    "Legendas", "Idioma das legendas", "Ouvir", "Original", "Texto menor", "Texto maior", "Tela cheia", "Volume", "Texto e som", "Mais recente",
    "Ao vivo", "Aguardando", "Em pausa", "Encerrado", "Reconectando…", "O servidor está reiniciando. Esta página volta sozinha.",
    "A sala está cheia. Continuamos tentando.", "A sala recusou esta página. Recarregue ou fale com os organizadores.", "Esta sala foi fechada.",
    "As palavras aparecerão aqui assim que alguém falar.", "Preparando a tradução…", "Algumas linhas não puderam ser guardadas",
    "Fala omitida", "experimental", "Ainda não há voz para este idioma",
    "A fala está em pausa. Continua aqui automaticamente.", "A voz começa na próxima frase.", "Voz com # s de atraso", "Toque para ouvir a voz de novo",
  ],
  es: [
    "Subtítulos", "Idioma de los subtítulos", "Escuchar", "Original", "Texto más pequeño", "Texto más grande", "Pantalla completa", "Volumen", "Texto y sonido", "Lo más reciente",
    "En directo", "En espera", "En pausa", "Terminado", "Reconectando…", "El servidor se está reiniciando. Esta página vuelve sola.",
    "La sala está llena. Seguimos intentándolo.", "La sala rechazó esta página. Recárguela o avise a los organizadores.", "Esta sala está cerrada.",
    "Las palabras aparecerán aquí en cuanto alguien hable.", "Preparando la traducción…", "Algunas líneas no se pudieron conservar",
    "Voz omitida", "experimental", "Aún no hay voz para este idioma",
    "La charla está en pausa. Continúa aquí automáticamente.", "La voz empieza con la próxima frase.", "Voz con # s de retraso", "Toque para volver a oír la voz",
  ],
  fr: [
    "Sous-titres", "Langue des sous-titres", "Écouter", "Original", "Texte plus petit", "Texte plus grand", "Plein écran", "Volume", "Texte et son", "Le plus récent",
    "En direct", "En attente", "En pause", "Terminé", "Reconnexion…", "Le serveur redémarre. Cette page revient d’elle-même.",
    "La salle est pleine. Nouvel essai en cours.", "La salle a refusé cette page. Rechargez-la ou prévenez les organisateurs.", "Cette salle est fermée.",
    "Les paroles s’afficheront ici dès que quelqu’un parlera.", "Préparation de la traduction…", "Certaines lignes n’ont pas pu être conservées",
    "Paroles sautées", "expérimental", "Pas encore de voix pour cette langue",
    "L’orateur fait une pause. La suite viendra ici d’elle-même.", "La voix commence à la prochaine phrase.", "Voix : # s de retard", "Touchez pour entendre à nouveau la voix",
  ],
  de: [
    "Untertitel", "Sprache der Untertitel", "Zuhören", "Original", "Kleinere Schrift", "Größere Schrift", "Vollbild", "Lautstärke", "Schrift und Ton", "Neueste",
    "Live", "Noch niemand spricht", "Pause", "Beendet", "Neu verbinden…", "Der Server startet neu. Diese Seite kommt von selbst wieder.",
    "Der Raum ist voll. Wir versuchen es weiter.", "Der Raum hat diese Seite abgewiesen. Laden Sie neu oder fragen Sie die Gastgeber.", "Dieser Raum ist geschlossen.",
    "Hier erscheinen die Worte, sobald jemand spricht.", "Die Übersetzung wird vorbereitet…", "Einige Zeilen konnten nicht aufbewahrt werden",
    "Sprache übersprungen", "experimentell", "Für diese Sprache gibt es noch keine Stimme",
    "Gerade ist Pause. Hier geht es von selbst weiter.", "Die Stimme beginnt mit dem nächsten Satz.", "Stimme # s später", "Tippen, um die Stimme wieder zu hören",
  ],
  ar: [
    "الترجمة", "لغة الترجمة", "استماع", "النص الأصلي", "خط أصغر", "خط أكبر", "ملء الشاشة", "مستوى الصوت", "النص والصوت", "الأحدث",
    "مباشر", "في الانتظار", "متوقف مؤقتًا", "انتهى", "جارٍ إعادة الاتصال…", "يُعاد تشغيل الخادم. ستعود هذه الصفحة تلقائيًا.",
    "القاعة ممتلئة. نواصل المحاولة.", "رفضت القاعة هذه الصفحة. أعد تحميلها أو اسأل المنظمين.", "هذه القاعة مغلقة.",
    "ستظهر الكلمات هنا حالما يبدأ أحد بالكلام.", "يجري إعداد الترجمة…", "تعذّر الاحتفاظ ببعض الأسطر",
    "كلام تم تخطيه", "تجريبية", "لا يوجد صوت لهذه اللغة بعد",
    "توقف المتحدث قليلًا. سيستمر العرض هنا تلقائيًا.", "يبدأ الصوت مع الجملة التالية.", "الصوت متأخر # ث", "المس الشاشة لسماع الصوت من جديد",
  ],
  hi: [
    "कैप्शन", "कैप्शन की भाषा", "सुनें", "मूल पाठ", "छोटा अक्षर", "बड़ा अक्षर", "पूर्ण स्क्रीन", "आवाज़ का स्तर", "अक्षर और आवाज़", "नवीनतम",
    "सीधा प्रसारण", "प्रतीक्षा", "रुका हुआ", "समाप्त", "फिर से जुड़ रहा है…", "सर्वर फिर से शुरू हो रहा है। यह पृष्ठ अपने आप लौट आएगा।",
    "कमरा भरा है। हम कोशिश जारी रखे हैं।", "कमरे ने यह पृष्ठ अस्वीकार किया। इसे फिर से लोड करें या आयोजकों से पूछें।", "यह कमरा बंद है।",
    "जैसे ही कोई बोलेगा, शब्द यहाँ दिखेंगे।", "अनुवाद तैयार हो रहा है…", "कुछ पंक्तियाँ सहेजी नहीं जा सकीं",
    "छूटी हुई आवाज़", "प्रायोगिक", "इस भाषा के लिए अभी आवाज़ नहीं है",
    "वक्ता रुके हैं। आगे यहीं अपने आप आएगा।", "आवाज़ अगले वाक्य से शुरू होगी।", "आवाज़ # से. पीछे", "आवाज़ फिर सुनने के लिए छुएँ",
  ],
  ja: [
    "字幕", "字幕の言語", "聴く", "原文", "文字を小さく", "文字を大きく", "全画面", "音量", "文字と音声", "最新へ",
    "ライブ", "待機中", "一時停止中", "終了", "再接続中…", "サーバーを再起動しています。このページは自動的に戻ります。",
    "満室です。接続を試み続けます。", "このページは拒否されました。再読み込みするか、主催者にお尋ねください。", "この部屋は閉じられました。",
    "話が始まると、ここに言葉が表示されます。", "翻訳を準備しています…", "保存できなかった行があります",
    "飛ばした音声", "試験的", "この言語の音声はまだありません",
    "話は一時中断しています。再開すると自動で続きます。", "音声は次の文から始まります。", "音声は#秒遅れ", "タップすると音声が再開します",
  ],
  ko: [
    "자막", "자막 언어", "듣기", "원문", "글자 작게", "글자 크게", "전체 화면", "음량", "글자와 소리", "최신으로",
    "실시간", "대기 중", "일시 정지", "종료됨", "다시 연결 중…", "서버가 다시 시작되고 있습니다. 이 페이지는 저절로 돌아옵니다.",
    "방이 가득 찼습니다. 계속 시도합니다.", "이 페이지가 거부되었습니다. 새로 고치거나 주최자에게 문의하세요.", "이 방은 닫혔습니다.",
    "누군가 말하기 시작하면 여기에 글이 나타납니다.", "번역을 준비하는 중…", "일부 줄은 보관되지 않았습니다",
    "건너뛴 음성", "실험적", "이 언어의 음성은 아직 없습니다",
    "잠시 쉬는 중입니다. 여기서 저절로 이어집니다.", "다음 문장부터 음성이 나옵니다.", "음성 #초 늦음", "음성을 다시 들으려면 누르세요",
  ],
  zh: [
    "字幕", "字幕语言", "收听", "原文", "缩小文字", "放大文字", "全屏", "音量", "文字和声音", "最新",
    "直播中", "等待中", "已暂停", "已结束", "正在重新连接…", "服务器正在重启，本页会自动恢复。",
    "房间已满，正在继续尝试。", "房间拒绝了此页面。请刷新，或询问主办方。", "此房间已关闭。",
    "有人开始讲话后，文字会显示在这里。", "正在准备翻译…", "有些内容未能保留",
    "跳过的语音", "实验性", "这种语言暂时没有语音",
    "讲话暂停了，稍后会在这里自动继续。", "语音从下一句开始。", "语音延迟 # 秒", "轻触即可重新听到语音",
  ],
};

/** The words by name, for a tag such as `pt-br`, and the language that they are in. */
export function wordsFor(tag) {
  const base = String(tag ?? "").toLowerCase().split("-")[0];
  const tongue = Object.hasOwn(TABLE, base) ? base : "en";
  const words = Object.fromEntries(NAMES.map((name, place) => [name, TABLE[tongue][place]]));
  return { ...words, tongue, dir: tongue === "ar" ? "rtl" : "ltr" };
}

/** Of `tags`, the first that a reader with these `wishes` (as in navigator.languages) would choose, or null. */
export function bestOf(tags, wishes) {
  const low = (tag) => String(tag).toLowerCase().replace("_", "-");
  const base = (tag) => low(tag).split("-")[0];
  for (const wish of wishes) {
    const found = tags.find((tag) => low(tag) === low(wish)) ?? tags.find((tag) => base(tag) === base(wish));
    if (found) return found;
  }
  return null;
}

export const TONGUES = Object.keys(TABLE);
export const WORDS = NAMES;
export const TABLE_OF_WORDS = TABLE;
