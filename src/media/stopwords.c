/* media/stopwords.c: stop lists, compact and our own: articles, pronouns, prepositions, conjunctions and auxiliaries.
 *
 * They serve twice: such words are left out of indexes, and, being half of any running text, they tell its language.
 * Hence they hold grammar only. Words that may be what a text is about ("new", "man", "gut") stay out. The lists of
 * Chinese and Japanese are cut the way ICU's dictionaries cut.
 */
#include "media/stopwords.h"

const stop_list stop_lists[] = {
    {"en",
     "a about above after again against all also am an and any are aren't as at be because been before being below "
     "between both "
     "but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from "
     "further had "
     "hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how how's "
     "i i'd i'll "
     "i'm i've if in into is isn't it it's its itself just let's me more most mustn't my myself no nor not of off on "
     "once only or "
     "other ought our ours ourselves out over own same shan't she she'd she'll she's should shouldn't so some such "
     "than that "
     "that's the their theirs them themselves then there there's these they they'd they'll they're they've this those "
     "through to "
     "too under until up upon very was wasn't we we'd we'll we're we've were weren't what what's when when's where "
     "where's which "
     "while who who's whom whose why why's will with within without won't would wouldn't you you'd you'll you're "
     "you've your "
     "yours yourself yourselves"},
    {"de",
     "aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus bei "
     "beim bin bis "
     "bist da dadurch daher damit dann daran darauf darum das dass dasselbe dein deine deinem deinen deiner dem den "
     "denn der des "
     "dessen dich die dies diese dieselbe dieselben diesem diesen dieser dieses dir doch dort du durch ein eine einem "
     "einen einer "
     "eines einig einige einigem einigen einiger einiges er es etwas euch euer eure eurem euren eurer für gegen "
     "gewesen hab habe "
     "haben hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im in indem ins ist ja "
     "jede jedem "
     "jeden jeder jedes jene jenem jenen jener jenes jetzt kann kein keine keinem keinen keiner keines können könnte "
     "machen man "
     "manche manchem manchen mancher manches mein meine meinem meinen meiner meines mich mir mit muss musste nach "
     "nicht nichts "
     "noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seines selbst sich sie sind so solche solchem "
     "solchen "
     "solcher solches soll sollte sondern sonst sowie über um und uns unser unsere unserem unseren unter viel vom von "
     "vor während "
     "war waren warst was weg weil weiter welche welchem welchen welcher welches wenn werde werden wie wieder will wir "
     "wird wirst "
     "wo wollen wollte wurde wurden würde würden zu zum zur zwar zwischen"},
    {"fr",
     "a afin ai ainsi alors as au aucun aucune aujourd aujourd'hui aussi autre autres aux avait avant avec avez avoir "
     "avons "
     "ayant c ce "
     "ceci cela celle celles celui ces cet cette ceux chaque chez ci comme d dans de depuis des donc dont du elle "
     "elles en encore "
     "entre es est et étaient était étant été être eu eux fut furent hui ici il ils j je jusqu l la laquelle le lequel "
     "les "
     "lesquels "
     "leur leurs lors lorsque lui là m ma mais me mes moi moins mon même mêmes n ne ni non nos notre nous on ont ou où "
     "par parce "
     "pas pendant peu peut plus pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se sera seront "
     "ses si sien "
     "soi soit sommes son sont sous suis sur t ta tandis te tes toi ton tous tout toute toutes très tu un une vers vos "
     "votre vous "
     "y à ça c'est d'un d'une l'on n'est qu'il qu'elle qu'un qu'une s'est"},
    {"es",
     "a al algo algunas algunos ante antes aquel aquella aquellos así aunque cada como con contra cual cuales "
     "cualquier cuando de "
     "del desde donde dos durante e el ella ellas ellos en entonces entre era eran eres es esa esas ese eso esos esta "
     "estaba "
     "estaban estado estamos estar estas este esto estos estoy está están fue fueron ha habían había haber hace hacia "
     "han has "
     "hasta hay he hemos la las le les lo los me mi mis mientras mucho muchos muy más mí nada ni no nos nosotras "
     "nosotros nuestra "
     "nuestras nuestro nuestros o os otra otras otro otros para pero poco por porque que quien quienes qué se sea sean "
     "según ser "
     "será si sido sin sino sobre sois somos son soy su sus suya suyo sí también tan tanto te tenía tiene tienen toda "
     "todas todo "
     "todos tras tu tus tú u un una unas uno unos usted ustedes vosotros vuestra vuestro y ya yo él éste ésta"},
    {"it",
     "a abbiamo ad agli ai al alla alle allo anche avere aveva c che chi ci come con contro cui da dagli dai dal dalla "
     "dalle "
     "dallo degli dei del dell della delle dello di dopo dove e ed era erano essere fra gli ha hanno ho i il in io l "
     "la le lei li "
     "lo loro lui ma mi mia mie miei mio ne negli nei nel nella nelle nello noi non nostra nostro o ogni per perché "
     "più poi può "
     "qual quale quali quando quanto quella quelle quelli quello questa queste questi questo qui se sei senza si sia "
     "siamo sono "
     "sopra sotto sta stata stati stato su sua sue sugli sui sul sulla sulle suo suoi tra tu tua tue tuo tuoi tutti "
     "tutto un una "
     "uno vi voi è"},
    {"pt",
     "a ao aos aquela aquelas aquele aqueles aquilo as até com como da das de dela delas dele deles depois do dos e "
     "ela elas ele "
     "eles em entre era eram essa essas esse esses esta estas estava este estes estão eu foi foram há isso isto já lhe "
     "lhes mais "
     "mas me mesmo meu meus minha minhas muito na nas nem no nos nossa nossas nosso nossos não num numa nós o os ou "
     "para pela "
     "pelas pelo pelos por porque qual quando que quem se seja sem ser será seu seus sido sobre sua suas são só também "
     "te tem "
     "tinha todo todos tu tua tuas têm um uma umas uns você vocês vos à às é"},
    {"nl",
     "aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een eens en er ge "
     "geen haar had "
     "heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je kan kon kunnen maar me meer men met mij "
     "mijn moet na "
     "naar niet niets nog nu of om omdat onder ons onze ook op over reeds te tegen toch toen tot u uit uw van veel "
     "voor want "
     "waren was wat werd wezen wie wil worden wordt zal ze zelf zich zij zijn zo zonder zou"},
    {"sv",
     "alla allt att av blev bli blir blivit de dem den denna deras dess dessa det detta dig din dina ditt du där då "
     "efter ej "
     "eller en er era ert ett från för ha hade han hans har henne hennes hon honom hur här i icke ingen inom inte jag "
     "ju kan "
     "kunde man med mellan men mig min mina mitt mot mycket ni nu när någon något några och om oss på samma sedan sig "
     "sin sina "
     "sitta själv skulle som så sådan till under upp ut utan vad var vara varför varit varje vars vart vem vi vid "
     "vilka vilken "
     "vilket vår våra vårt än är åt över"},
    {"da",
     "af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse dog du efter eller "
     "en end er "
     "et for fra ham han hans har havde have hende hendes her hos hun hvad hvis hvor i ikke ind jeg jer jo kunne man "
     "mange med "
     "meget men mig min mine mit mod ned noget nogle nu når og også om op os over på selv sig sin sine sit skal skulle "
     "som "
     "sådan thi til ud under var vi vil ville vor være været"},
    {"no",
     "alle at av bare begge ble blei bli blir både da de deg dei deim deira deires dem den denne der dere deres det "
     "dette di din "
     "disse ditt du eg ein eit eitt eller elles en enn er et ett etter for fordi fra før ha hadde han hans har hennar "
     "henne "
     "hennes her hjå ho hun hva hvem hver hvilke hvis hvor hvordan hvorfor i ikke ikkje ingen inn ja jeg kan kom "
     "korleis kunne "
     "kva kvar man mange med meg meget mellom men mi min mine mitt mot mykje ned no noe noen nå når og også om opp oss "
     "over på "
     "selv si sia sidan siden sin sine sitt sjøl skal skulle slik so som somme så til um upp ut uten var vart varte "
     "ved vere vi "
     "vil ville vore vors vort være vært å"},
    {"fi",
     "ei eivät emme en että he heidän heille heitä hän häneen hänelle hänen hänet häntä ja joka jos jossa jota jotka "
     "joita jonka "
     "kanssa keiden kenen ketä koska kuin kuka kun me mihin mikä mitkä missä mistä mitä mukaan mutta myös ne niiden "
     "niille niin "
     "niitä noin nuo nyt näiden nämä näitä ole olemme olen olet olette oli olivat olla ollut on ovat se sekä sen "
     "siihen siinä "
     "siitä sinä sitä tai te tuo tämä tämän tätä vaan vai vaikka"},
    {"ru",
     "а без более бы был была были было быть в вам вас ведь во вот все всего всех вы где да даже для до его ее ей если "
     "есть ещё "
     "еще же за здесь и из или им их к как какая какой когда ко кто ли либо между меня мне много может мой моя мы на "
     "над надо "
     "нас не него нее ней нет ни них но ну о об однако он она они оно от очень по под после потом потому почти при про "
     "раз с "
     "сам свою себе себя со так также такой там тебя тем то того тоже той только том ты у уж уже хоть чего чем через "
     "что чтобы "
     "эта эти это этого этой этом этот эту я"},
    {"zh",
     "的 了 在 是 我 有 和 就 不 也 都 与 及 而 或 一个 一种 这 那 这个 那个 这些 那些 这样 那样 之 其 他 她 它 他们 "
     "她们 它们 我们 "
     "你 你们 您 自己 把 被 让 给 对 对于 关于 从 到 向 往 以 以及 为 为了 因为 因此 所以 但 但是 然而 如果 虽然 并 "
     "并且 而且 "
     "还 还是 又 再 很 非常 更 最 会 能 可以 要 将 着 过 地 得 吗 呢 吧 啊 呀 什么 怎么 哪 哪里 谁 没 没有 等 等等 于 "
     "由 由于 "
     "上 下 里 中 则 却 只 只是 已 已经 正在 曾 曾经 每 各 某 此 该 本 "
     "與 這 這個 這些 個 們 我們 你們 他們 她們 它們 對 從 為 為了 因為 但 還 還是 會 將 著 過 嗎 沒 沒有 什麼 怎麼 於 "
     "由於 並 並且"},
    {"ja",
     "の に は を た が で て と し れ さ ある いる も する から な こと として い や れる など なっ ない この ため "
     "その あっ よう "
     "また もの という あり まで られ なる へ か だ これ によって により おり より による ず なり られる において ば "
     "なかっ なく "
     "しかし について せ だっ その後 できる それ う ので なお のみ でき き つ における および いう さらに でも ら たり "
     "その他 "
     "に関する たち ます ん なら に対して ました です でし でした まし ください ませ ません せる わ ね よ この あの "
     "どの ここ そこ "
     "あそこ あれ どれ それぞれ でる ている てる たい とても"},
    {"th",
     "ที่ และ ใน ของ เป็น ได้ ให้ มี จะ ไม่ กับ การ ว่า นี้ นั้น แต่ หรือ จาก โดย ก็ มา ไป แล้ว อยู่ ถึง ต้อง ด้วย ซึ่ง กว่า เพื่อ คือ อัน "
     "เมื่อ ยัง ความ ทั้ง ตาม ขึ้น เรา เขา ฉัน คุณ นะ ครับ ค่ะ คะ อีก ถ้า เพราะ จึง เช่น แห่ง ๆ บน"},
};

const size_t stop_list_count = sizeof stop_lists / sizeof *stop_lists;
